#!/usr/bin/env bash
# Runs a command on a node, in all of its namespaces: in-node.sh INDEX COMMAND…
. "$(dirname "$0")/settings.sh"

outer=$(cat "$state/pids/node$1")
shift
init=$(init_of "$outer")
exec nsenter --target "$init" --all -- "$@"
