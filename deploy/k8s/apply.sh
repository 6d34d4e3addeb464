#!/usr/bin/env bash
# apply.sh OVERLAY: applies an overlay to kubectl's current cluster and waits until it runs.
#   deploy/k8s/apply.sh deploy/k8s/overlays/production
# The servers in OVERLAY/servers are applied first. The migration is a Job, which is immutable, so the previous one is
# deleted. New pods of auth wait for it and the old ones keep working; this script can be interrupted and repeated.
set -euo pipefail
overlay=${1:?which overlay? For example: deploy/k8s/overlays/dev}
# A Job ends by its own activeDeadlineSeconds (900), a rollout by its progressDeadlineSeconds (1200): these limits are only
# for what does not even begin.
timeout=${TIMEOUT:-1500}
poll=${POLL_SECONDS:-2}

"$(dirname "$0")/check.sh" "$overlay"
rendered=$(kubectl kustomize "$overlay")

# Members of the rendered documents, whose order and indentation are kustomize's: "Kind name member value" a line.
members() {
    awk '/^---$/ { kind = name = "" }
        /^[a-zA-Z]/ { part = $1 }
        /^kind: / { kind = $2 }
        part == "metadata:" && /^  name: / { name = $2 }
        part == "metadata:" && /^  namespace: / { print kind, name, "namespace", $2 }
        part == "spec:" && /^  replicas: / { print kind, name, "replicas", $2 }' <<<"$rendered"
}

namespace=$(members | awk '$1 == "Job" && $2 == "migrate" && $3 == "namespace" { print $4 }')
if [[ -z $namespace || $namespace == *$'\n'* ]]; then
    echo "$overlay has no Job migrate in one namespace" >&2
    exit 1
fi
run() { kubectl --namespace "$namespace" "$@"; }

# keep_replicas NAME: the number of replicas of a Deployment that an autoscaler takes over stays as it is. Otherwise
# apply sees that the manifest had a number and has none any more, and sets it to the default, one.
keep_replicas() {
    local field='kubectl.kubernetes.io/last-applied-configuration' applied without
    applied=$(run get deployment "$1" --ignore-not-found --output "jsonpath={.metadata.annotations.${field//./\\.}}")
    without=$(sed -E 's/"replicas":[0-9]+,|,"replicas":[0-9]+//' <<<"$applied")
    if [[ $without != "$applied" ]]; then
        run annotate deployment "$1" --overwrite "$field=$without"
    fi
}

for deployment in auth gateway sms; do
    if ! members | grep -q "^Deployment $deployment replicas "; then
        keep_replicas "$deployment"
    fi
done

if [[ -e $overlay/servers ]]; then
    kubectl apply --kustomize "$overlay/servers"
fi
# By labels: a Job of the same name that is not ours stays.
run delete job --selector app.kubernetes.io/name=migrate,app.kubernetes.io/part-of=dialpass --wait
kubectl apply --kustomize "$overlay"

deadline=$((SECONDS + timeout))
conditions='{range .status.conditions[?(@.status=="True")]}{.type} {end}'
until state=" $(run get job migrate --output "jsonpath=$conditions") " && [[ $state == *' Complete '* ]]; do
    if [[ $state == *' Failed '* || $state == *' FailureTarget '* ]]; then
        echo "the migration failed:" >&2
        run logs job/migrate --tail=20 >&2 || true
        exit 1
    fi
    if ((SECONDS >= deadline)); then
        echo "the migration did not end within $timeout s:" >&2
        run get pods --selector app.kubernetes.io/name=migrate >&2 || true
        exit 1
    fi
    sleep "$poll"
done

for service in auth sms gateway; do
    run rollout status --timeout="${timeout}s" "deployment/$service"
done
