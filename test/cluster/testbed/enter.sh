#!/usr/bin/env bash
# Runs a command, or a shell, where the API server, nodes and pods can be reached and kubectl is this cluster's: enter.sh [COMMAND…]
. "$(dirname "$0")/settings.sh"

[ -e "$state" ] || fail "there is no cluster $CLUSTER (make cluster-up NAME=$CLUSTER)"
export KUBECONFIG=$kubeconfigs/admin PATH=$checkout/node_modules/node/bin:$checkout/bin:$bin:$PATH
[ $# -gt 0 ] || set -- "${SHELL:-bash}"
exec nsenter --net="/run/netns/$network" -- "$@"
