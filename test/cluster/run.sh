#!/usr/bin/env bash
# make test-cluster: what needs an API server alone, a cluster, the tests of it without a mesh, an installation as a user makes
# it, the tests of the mesh, and its removal. Takes the cluster down whatever happens; what fails leaves its logs.
#   KEEP=1 leaves the cluster up, under CLUSTER
export CLUSTER=${CLUSTER:-test-$$}
. "$(dirname "$0")/testbed/settings.sh"

times=()
step() {
  local name=$1 start=$SECONDS
  shift
  say "$name"
  "$@"
  times+=("$(printf '%6d s  %s' $((SECONDS - start)) "$name")")
}

finish() {
  local code=$?
  trap '' INT TERM
  if [ $code != 0 ] && [ -e "$state" ]; then
    "$testbed/collect-logs.sh" "$cache/logs/$CLUSTER-$(date +%H%M%S)" || true
  fi
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

in_cluster() { "$testbed/enter.sh" "$@"; }
build() { "$testbed/requirements.sh" && "$testbed/build.sh" >/dev/null; }
tests() { in_cluster "$checkout/scripts/run-ring.sh" 1 "$@"; }

cd "$checkout"
archive=build/ambit-$(case $(uname -m) in x86_64) echo amd64 ;; aarch64) echo arm64 ;; esac).tar
mapfile -t api_tests < <(find test/cluster -name '*.test.ts' ! -name 'bare-*' ! -name 'mesh-*' ! -name 'removal*' | sort)
step "build of Kubernetes" build
step "tests with an API server alone" scripts/run-ring.sh 1 "${api_tests[@]}"
step "image of Ambit" make --silent image "ARCH=$(basename "$archive" .tar | cut -d- -f2)"
step "cluster" "$testbed/up.sh" "$archive"
step "tests of the bare cluster" tests test/cluster/bare-*.test.ts
step "installation" in_cluster ambit install
step "tests of the mesh" tests test/cluster/mesh-*.test.ts
step "tests of its removal" tests test/cluster/removal.test.ts
