# What the scripts of the testbed agree on; to be sourced. CLUSTER names the cluster, so that several can stand side by side.
# shellcheck shell=bash disable=SC2034
set -euo pipefail
export PATH=$PATH:/usr/sbin:/sbin

: "${CLUSTER:=dev}"
[[ $CLUSTER =~ ^[a-z0-9]([a-z0-9-]{0,18}[a-z0-9])?$ ]] || {
  echo "testbed: CLUSTER=$CLUSTER is not a name (lower case letters, digits and dashes, at most 20)" >&2
  exit 2
}
export CLUSTER

testbed=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
checkout=$(cd "$testbed/../../.." && pwd)
# Outside the work tree: binaries, images and what the clusters write. Nodes need a disk's own file system for it.
cache=${XDG_CACHE_HOME:-$HOME/.cache}/ambit/kubernetes
state=$cache/clusters/$CLUSTER

# How the cluster was started is remembered for the commands that come later.
# shellcheck source=/dev/null
[ ! -e "$state/settings" ] || . "$state/settings"
: "${NODES:=3}" "${IP_FAMILIES:=4}" "${IPTABLES:=nft}" "${PROXY_MODE:=iptables}"

bin=$state/bin
certificates=$state/certificates
kubeconfigs=$state/kubeconfigs

network=cluster-$CLUSTER # network namespace of the control plane and of the bridge that nodes hang on
cgroup=ambit-cluster-$CLUSTER
node_network=172.30.0
node_network6=fd00:30:
pod_network=10.244
pod_network6=fd00:10:244
service_network=10.96
api_address=$node_network.1
dns_address=$service_network.0.10
service_cidrs=$service_network.0.0/16
pod_cidrs=$pod_network.0.0/16
if [ "$IP_FAMILIES" = 46 ]; then
  service_cidrs=$service_cidrs,fd00:10:96::/112
  pod_cidrs=$pod_cidrs,$pod_network6::/48
fi

node_address() { echo "$node_network.$((10 + $1))"; }
node_address6() { echo "$node_network6:$((10 + $1))"; }
pod_cidr() { echo "$pod_network.$1.0/24"; }
pod_cidr6() { echo "$pod_network6:$1::/64"; }
# PID 1 of a node, as this machine counts, is the only child of the process that was started for the node.
init_of() { tr -d ' ' <"/proc/$1/task/$1/children"; }
dual_stack() { [ "$IP_FAMILIES" = 46 ]; }

say() { echo "testbed: $*" >&2; }
fail() {
  say "$*"
  exit 1
}
enter_network() { nsenter --net="/run/netns/$network" "$@"; }
kubectl() { enter_network "$bin/kubectl" --kubeconfig "$kubeconfigs/admin" "$@"; }
api_ready() {
  enter_network curl -sf --max-time 2 --cacert "$certificates/ca.crt" --cert "$certificates/admin.crt" --key "$certificates/admin.key" \
    "https://$api_address:6443/readyz" >/dev/null
}
# wait_until SECONDS WHAT COMMAND…: tries the command five times a second.
wait_until() {
  local end=$((SECONDS + $1)) what=$2
  shift 2
  until "$@"; do
    [ $SECONDS -lt $end ] || fail "$what: not within the time"
    sleep 0.2
  done
}
controllers() { awk '$3 == "cgroup" { n = split($2, part, "/"); print part[n] }' /proc/mounts; }
# remove_cgroups PATH: below every controller; fails while one of them still has a process.
remove_cgroups() {
  local folder
  for folder in /sys/fs/cgroup/*/"$1"; do
    [ ! -e "$folder" ] || find "$folder" -depth -type d -exec rmdir {} + 2>/dev/null || return 1
  done
}
