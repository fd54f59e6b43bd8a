#!/usr/bin/env bash
# Builds the peers that others wrote in Go, and prints the folder they are in. What was built once is kept.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
export CGO_ENABLED=0 GOFLAGS=-mod=readonly GOWORK=off
key=$({ cat "$here"/{,helm/}{go.mod,go.sum} "$here"/*.go && go env GOVERSION GOARCH; } | sha256sum | cut -c1-16)
folder=${XDG_CACHE_HOME:-$HOME/.cache}/ambit/bin/interop-$key
if [ ! -e "$folder" ]; then
  echo "interop: building peers (minutes on a machine that has never done it)" >&2
  mkdir -p "${folder%/*}"
  new=$(mktemp -d "$folder.XXXXXX")
  trap 'rm -rf "$new"' EXIT
  cd "$here"
  nice go build -trimpath -ldflags '-s -w' -o "$new/istio-messages" . >&2
  nice go build -trimpath -ldflags '-s -w' -o "$new/h2spec" github.com/summerwind/h2spec/cmd/h2spec >&2
  (cd helm && nice go build -trimpath -ldflags '-s -w' -o "$new/helm" helm.sh/helm/v3/cmd/helm >&2)
  chmod 755 "$new"
  mv -T "$new" "$folder" 2>/dev/null || [ -e "$folder/h2spec" ]
fi
echo "$folder"
