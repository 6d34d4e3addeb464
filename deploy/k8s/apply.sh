#!/usr/bin/env bash
# apply.sh OVERLAY: applies an overlay to kubectl's current cluster and waits until it runs.
#   deploy/k8s/apply.sh deploy/k8s/overlays/production
# The migration is a Job, which is immutable, so the previous one is deleted first. New pods wait for it
# and the old ones keep working; this script can be interrupted safely.
set -euo pipefail
overlay=${1:?which overlay? For example: deploy/k8s/overlays/dev}
timeout=${TIMEOUT:-15m}
namespace=$(kubectl kustomize "$overlay" | awk '/^kind: Namespace$/ { found = 1 } found && $1 == "name:" { print $2; found = 0 }')
run() { kubectl --namespace "$namespace" "$@"; }

run delete job migrate --ignore-not-found --wait
kubectl apply --kustomize "$overlay"
run wait --for=condition=complete --timeout="$timeout" job/migrate
for service in auth sms gateway; do
    run rollout status --timeout="$timeout" "deployment/$service"
done
