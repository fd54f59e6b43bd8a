#!/usr/bin/env bash
# Gathers what tells why something failed on a cluster: collect-logs.sh FOLDER
. "$(dirname "$0")/settings.sh"

folder=$1
mkdir -p "$folder"
# Whatever has failed, the rest is still of use.
set +e
kubectl get nodes,all,networkpolicies,events --all-namespaces --output=wide >"$folder/objects.txt" 2>&1
kubectl describe pods --all-namespaces >"$folder/pods.txt" 2>&1
kubectl get authorizationpolicies,peerauthentications --all-namespaces --output=yaml >"$folder/policies.yaml" 2>&1
kubectl --namespace ambit-system get pods --output=name 2>/dev/null | while read -r pod; do
  name=$folder/${pod#pod/}
  kubectl --namespace ambit-system logs --all-containers "$pod" >"$name.log" 2>&1
  kubectl --namespace ambit-system logs --all-containers --previous "$pod" >"$name.previous.log" 2>/dev/null || rm "$name.previous.log"
done
cp -r "$state/log" "$folder/control-plane"
for index in $(seq "$NODES"); do
  cp -r "$state/nodes/node$index/log" "$folder/node$index"
  "$testbed/in-node.sh" "$index" bash -c 'iptables-save; ip6tables-save; ip address; ip route; cat /etc/cni/net.d/*' \
    >"$folder/node$index/network.txt" 2>&1
done
say "logs are in $folder"
