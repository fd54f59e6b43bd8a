#!/usr/bin/env bash
# Imports archives into a containerd root that is used by no daemon: image-store.sh STORE ARCHIVE…
. "$(dirname "$0")/settings.sh"

store=$1
shift
mkdir -p "$store"
# Namespaces of its own: unpacking mounts, and when PID 1 of them ends, nothing is left.
exec unshare --mount --net --pid --fork --mount-proc --kill-child bash -euo pipefail -c '
  store=$1
  shift
  mount -t tmpfs run /run
  mkdir /run/containerd
  printf "version = 2\nroot = \"%s\"\ndisabled_plugins = [%s]\n" "$store" \
    "\"io.containerd.grpc.v1.cri\", \"io.containerd.internal.v1.opt\"" >/run/containerd.toml
  containerd --config /run/containerd.toml >/run/containerd.log 2>&1 &
  daemon=$!
  until ctr version >/dev/null 2>&1; do
    kill -0 $daemon || { cat /run/containerd.log >&2; exit 1; }
    sleep 0.1
  done
  for archive; do ctr --namespace k8s.io images import "$archive" >/dev/null; done
  kill $daemon
  wait $daemon || true
' image-store "$store" "$@"
