#!/bin/sh
# Runs the tests against peers that others wrote: run-interop.sh FILE…
# Some are built from Go modules. Where there is no Go it says so loudly and leaves their tests out; in CI it fails.
set -eu
run=$(dirname "$0")/run-ring.sh
if command -v go >/dev/null 2>&1; then
  "$(dirname "$0")/../test/interop/build.sh" >/dev/null
  exec "$run" 1 "$@"
fi
echo "*** NO GO: nothing was checked against h2spec, Helm and Istio's own types (https://go.dev/doc/install) ***" >&2
[ -z "${CI:-}" ] || exit 1
# shellcheck disable=SC2046 # names of files of this repository, without blanks
exec "$run" 1 $(grep -L interop-peers "$@")
