#!/bin/sh
# Runs the tests against peers that are built from Go modules: run-interop.sh FILE…
# Where there is no Go it says so loudly, and fails in CI.
set -eu
if ! command -v go >/dev/null 2>&1; then
  echo "*** NO GO: HTTP/2 and messages were NOT checked against h2spec and Istio's own types (https://go.dev/doc/install) ***" >&2
  [ -z "${CI:-}" ] || exit 1
  exit 0
fi
"$(dirname "$0")/../test/interop/build.sh" >/dev/null
exec "$(dirname "$0")/run-ring.sh" 1 "$@"
