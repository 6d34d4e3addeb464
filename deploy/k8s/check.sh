#!/usr/bin/env bash
# check.sh OVERLAY: says what is left to be decided in an overlay, and fails if there is something.
#   deploy/k8s/check.sh deploy/k8s/overlays/production
# Refused are values that say change-me, empty settings, and host names of another namespace than the overlay's, which
# are left when only the namespace was changed. Needs no cluster.
set -euo pipefail
overlay=${1:?which overlay? For example: deploy/k8s/overlays/production}
left=()

settings=$overlay/settings/settings.env
if [[ -e $settings ]]; then
    while IFS= read -r line; do
        left+=("$settings: $line")
    done < <(grep -E '^[A-Z_]+=$|^[A-Z_]+=.*change-me' "$settings" || true)
fi

rendered=$(kubectl kustomize "$overlay")
if [[ -e $overlay/servers ]]; then
    rendered+=$'\n---\n'$(kubectl kustomize "$overlay/servers")
fi
if ((${#left[@]} == 0)); then
    # Of the whole render, so that nothing is missed that is in no settings.env, as the image.
    while IFS= read -r line; do
        left+=("rendered: $line")
    done < <(grep 'change-me' <<<"$rendered" | sed 's/^[ -]*//' | sort -u || true)
elif grep -q 'image: .*change-me' <<<"$rendered"; then
    left+=("$overlay/kustomization.yaml: the image's registry")
fi

namespaces=$(sed -n 's/^  namespace: //p' <<<"$rendered" | sort -u)
while IFS= read -r host; do
    namespace=${host%.svc*}
    namespace=${namespace##*.}
    if ! grep -qxF "$namespace" <<<"$namespaces"; then
        left+=("rendered: $host is in the namespace $namespace, not in $(tr '\n' ' ' <<<"$namespaces")")
    fi
done < <(grep -oE '[a-z0-9-]+(\.[a-z0-9-]+)+\.svc\b' <<<"$rendered" | sort -u || true)

if ((${#left[@]})); then
    printf '%s\n' "to be decided in $overlay:" "${left[@]/#/  }" >&2
    exit 1
fi
