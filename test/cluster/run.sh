#!/usr/bin/env bash
# make test-cluster: a cluster, the tests of it without a mesh, an installation as a user makes it, the tests of the mesh, and
# its removal. Takes the cluster down whatever happens; what fails leaves its logs.
#   KEEP=1 leaves the cluster up, under CLUSTER
export CLUSTER=${CLUSTER:-test-$$}
# Everything is tried in one family anyway; with both, tests of the other one have a cluster too.
export IP_FAMILIES=${IP_FAMILIES:-46}
. "$(dirname "$0")/testbed/settings.sh"

times=()
failed=
step() {
  local name=$1 start=$SECONDS
  shift
  say "$name"
  "$@"
  times+=("$(printf '%6d s  %s' $((SECONDS - start)) "$name")")
}

collect_logs() {
  [ ! -e "$state" ] || "$testbed/collect-logs.sh" "$cache/logs/$CLUSTER-$(date +%H%M%S)" || true
}

finish() {
  local code=$?
  trap '' INT TERM
  [ $code = 0 ] || [ -n "$failed" ] || collect_logs
  if [ -n "${KEEP:-}" ]; then
    say "the cluster $CLUSTER stays up: make cluster-down NAME=$CLUSTER"
  elif [ -e "$state" ]; then
    "$testbed/down.sh" || code=1
  fi
  printf 'test-cluster: %s\n' "${times[@]}" "$(printf '%6d s  in all' $SECONDS)"
  exit $code
}
trap finish EXIT
trap 'exit 130' INT TERM

# In both ways that are described: the second takes over from the first, and waits.
install() {
  in_cluster kubectl apply --server-side -k daemonset/ >/dev/null
  in_cluster ambit install
}
in_cluster() { "$testbed/enter.sh" "$@"; }
# What fails is remembered, with the logs of that moment, and the rest is tried all the same.
cluster_tests() {
  ! in_cluster scripts/run-ring.sh 1 "$@" || return 0
  failed=yes
  collect_logs
}

cd "$checkout"
archive=build/ambit-$(case $(uname -m) in x86_64) echo amd64 ;; aarch64) echo arm64 ;; esac).tar
step "image of Ambit" make --silent image "ARCH=$(basename "$archive" .tar | cut -d- -f2)"
step "cluster" "$testbed/up.sh" "$archive"
step "tests of the bare cluster" cluster_tests test/cluster/bare-*.test.ts
step "installation" install
step "tests of the mesh" cluster_tests test/cluster/mesh-*.test.ts
step "tests of its removal" cluster_tests test/cluster/removal.test.ts
[ -z "$failed" ]
