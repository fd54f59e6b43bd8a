#!/bin/sh
# Runs one ring of tests: run-ring.sh CONCURRENCY FILE…
# Real processes, kernels and clocks take part, so a test that fails gets one more run, on its own, and says so loudly;
# failing twice fails the ring.
set -eu
concurrency=$1
shift
state=$(mktemp)
rm "$state"
trap 'rm -f "$state"' EXIT
run() {
  at_once=$1
  shift
  node --disable-warning=ExperimentalWarning --test --test-concurrency="$at_once" --test-rerun-failures="$state" "$@"
}
if ! run "$concurrency" "$@"; then
  echo "tests: SECOND RUN of what failed above; look into it even if it passes now" >&2
  run 1 "$@"
fi
