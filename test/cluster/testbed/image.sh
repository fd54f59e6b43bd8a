#!/usr/bin/env bash
# Writes an image archive without a builder: image.sh ARCHIVE NAME:TAG COMMAND-AS-JSON FOLDER…, one layer for each folder.
. "$(dirname "$0")/settings.sh"

archive=$1 name=$2 command=$3
shift 3
work=$(mktemp -d -p "$(dirname "$archive")")
trap 'rm -rf "$work"' EXIT
layers=() digests=()
for folder; do
  layer=layer${#layers[@]}.tar
  # Nothing but the contents may decide on the digest.
  tar --numeric-owner --owner=0 --group=0 --sort=name --mtime=@0 -C "$folder" -cf "$work/$layer" .
  layers+=("\"$layer\"")
  digests+=("\"sha256:$(sha256sum "$work/$layer" | cut -d' ' -f1)\"")
done
join() {
  local IFS=,
  echo "$*"
}
case $(uname -m) in x86_64) architecture=amd64 ;; aarch64) architecture=arm64 ;; *) architecture=$(uname -m) ;; esac
cat >"$work/config.json" <<JSON
{"architecture": "$architecture", "os": "linux",
 "config": {"Env": ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"], "Cmd": $command},
 "rootfs": {"type": "layers", "diff_ids": [$(join "${digests[@]}")]}}
JSON
cat >"$work/manifest.json" <<JSON
[{"Config": "config.json", "RepoTags": ["$name"], "Layers": [$(join "${layers[@]}")]}]
JSON
tar -C "$work" -cf "$work/archive" manifest.json config.json $(cd "$work" && ls layer*.tar)
mv "$work/archive" "$archive"
