#!/usr/bin/env bash
# Brings a cluster up: up.sh [IMAGE-ARCHIVE…]. Settings are environment variables: CLUSTER (dev), NODES (3), IP_FAMILIES
# (4 or 46), IPTABLES (nft or legacy), PROXY_MODE of kube-proxy (iptables or nftables).
. "$(dirname "$0")/settings.sh"

[ ! -e "$state" ] || fail "the cluster $CLUSTER is there already: take it down first (make cluster-down NAME=$CLUSTER)"
started=${EPOCHREALTIME/[.,]/}
step() {
  local tenths=$(((${EPOCHREALTIME/[.,]/} - started) / 100000))
  say "$(printf '%4d.%d s  %s' $((tenths / 10)) $((tenths % 10)) "$*")"
}

"$testbed/requirements.sh"
{ read -r kubernetes && read -r coredns; } < <("$testbed/build.sh") || fail "Kubernetes could not be built"
images=$("$testbed/images.sh" "$coredns")
step "programs and images are there"

mkdir -p "$state"/{pids,log,nodes}
trap '[ $? = 0 ] || say "not up; what there is: make cluster-down NAME=$CLUSTER removes it, logs are in $state"' EXIT
ln -s "$kubernetes" "$bin"
declare -p CLUSTER NODES IP_FAMILIES IPTABLES PROXY_MODE | sed 's/declare -[-x]* //' >"$state/settings"
"$testbed/certificates.sh"
"$testbed/clone-store.sh" "$images/store" "$state/store"
[ $# = 0 ] || "$testbed/image-store.sh" "$state/store" "$@"
step "certificates and image store"

make_network() {
  local index
  ip netns add "$network"
  ip -n "$network" link set lo up
  ip -n "$network" link add nodes type bridge
  ip -n "$network" link set nodes up
  ip -n "$network" addr add "$api_address/24" dev nodes
  ! dual_stack || ip -n "$network" addr add "$node_network6:1/64" dev nodes nodad
  for index in $(seq "$NODES"); do
    # The API server calls webhooks and aggregated APIs in pods.
    ip -n "$network" route add "$(pod_cidr "$index")" via "$(node_address "$index")"
    ! dual_stack || ip -n "$network" route add "$(pod_cidr6 "$index")" via "$(node_address6 "$index")"
  done
}

# The pod networks are the nodes' from the beginning, see node-init.sh; the API is told.
tell_pod_network() {
  local index=$1 cidrs
  cidrs="\"$(pod_cidr "$index")\""
  ! dual_stack || cidrs+=", \"$(pod_cidr6 "$index")\""
  kubectl patch node "node$index" -p "{\"spec\": {\"podCIDR\": \"$(pod_cidr "$index")\", \"podCIDRs\": [$cidrs]}}" >/dev/null 2>&1
}

make_network
"$testbed/raise-limits.sh"
for index in $(seq "$NODES"); do "$testbed/node.sh" start "$index"; done
"$testbed/control-plane.sh" start
step "control plane ready"
for index in $(seq "$NODES"); do wait_until 120 "node$index to register" tell_pod_network "$index"; done
kubectl apply -f "$testbed/coredns.yaml" >/dev/null
kubectl wait --for=condition=Ready node --all --timeout=180s >/dev/null
step "nodes ready"
# Before it exists, pods are refused.
account_exists() { kubectl --namespace default get serviceaccount default >/dev/null 2>&1; }
wait_until 60 "the default service account" account_exists
kubectl --namespace kube-system rollout status deployment/coredns --timeout=120s >/dev/null
step "DNS ready: cluster $CLUSTER is up"
