#!/bin/sh
# Runs one ring of tests: run-ring.sh CONCURRENCY FILE…
# Real processes, kernels and clocks take part, so a test that fails gets one more run, on its own, and says so loudly;
# failing twice fails the ring. A test that waits for ever, or spins, ends as a failure and not with the patience of CI.
set -eu
concurrency=$1
shift
# Far beyond the slowest: a file takes up to five minutes, a ring up to fifteen.
test_limit_ms=900000
ring_limit_seconds=2400
state=$(mktemp)
rm "$state"
trap 'rm -f "$state"' EXIT
run() {
  at_once=$1
  shift
  timeout --kill-after=10 "$ring_limit_seconds" node --disable-warning=ExperimentalWarning --test \
    --test-concurrency="$at_once" --test-timeout="$test_limit_ms" --test-rerun-failures="$state" "$@"
}
if ! run "$concurrency" "$@"; then
  echo "tests: SECOND RUN of what failed above; look into it even if it passes now" >&2
  run 1 "$@"
fi
