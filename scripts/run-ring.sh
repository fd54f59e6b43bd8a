#!/bin/sh
# Runs one ring of tests: run-ring.sh CONCURRENCY FILE…
# Real processes, kernels and clocks take part, so a file in which something fails gets one more run, alone and as a whole,
# and says so loudly; failing twice fails the ring. Node's own --test-rerun-failures is not for us: it knows a test by where
# it is written, so that tests of several files that one helper makes pass for each other. A test that waits for ever, or
# spins, ends as a failure and not with the patience of CI; so does a file that something keeps alive when its tests are over.
set -eu
concurrency=$1
shift
# Far beyond the slowest: a file takes up to five minutes, a ring up to fifteen.
test_limit_ms=900000
ring_limit_seconds=2400
scripts=$(cd "$(dirname "$0")" && pwd)
reporter=$scripts/failed-files-reporter.ts
failed=$(mktemp)
trap 'rm -f "$failed"' EXIT
run() {
  at_once=$1
  shift
  timeout --kill-after=10 "$ring_limit_seconds" node --disable-warning=ExperimentalWarning \
    --import="$scripts/end-lingering-file.ts" --test \
    --test-concurrency="$at_once" --test-timeout="$test_limit_ms" \
    --test-reporter=spec --test-reporter-destination=stdout \
    --test-reporter="$reporter" --test-reporter-destination="$failed" "$@"
}
if ! run "$concurrency" "$@"; then
  [ -s "$failed" ] || { echo "tests: the ring failed without a failed test: it was killed, or ran out of time" >&2; exit 1; }
  echo "tests: SECOND RUN of the files in which something failed above; look into it even if they pass now" >&2
  sed 's/^/tests:   /' "$failed" >&2
  again=$(cat "$failed")
  # No path of a test has a blank.
  # shellcheck disable=SC2086
  run 1 $again
fi
