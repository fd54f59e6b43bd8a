#!/usr/bin/env bash
# Imports image archives into every node of a cluster that is up: load-image.sh ARCHIVE…
. "$(dirname "$0")/settings.sh"

for archive; do
  imports=()
  for index in $(seq "$NODES"); do
    "$testbed/in-node.sh" "$index" ctr --namespace k8s.io images import - <"$archive" >/dev/null &
    imports+=($!)
  done
  for import in "${imports[@]}"; do wait "$import"; done
done
