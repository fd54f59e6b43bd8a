#!/usr/bin/env bash
# Builds Kubernetes with etcd, and CoreDNS, from their Go modules, and prints the folders of the binaries.
# What was built once is kept by everything that decides on the outcome: the module, the flags, the version of Go.
. "$(dirname "$0")/settings.sh"
command -v go >/dev/null || fail "Go 1.26 is missing: Kubernetes is built from its Go modules (https://go.dev/doc/install)"
mkdir -p "$cache"
export CGO_ENABLED=0 GOFLAGS=-mod=readonly GOWORK=off

version=$(awk '$1 == "k8s.io/kubernetes" { print $2; exit }' "$testbed/../kubernetes/go.mod")
minor=${version#v1.}
# What the servers say about themselves; without it they call themselves v0.0.0, and refuse nodes of another version.
stamps=
for package in k8s.io/component-base/version k8s.io/client-go/pkg/version; do
  stamps+=" -X $package.gitVersion=$version -X $package.gitMajor=1 -X $package.gitMinor=${minor%%.*}"
  stamps+=" -X $package.gitTreeState=clean -X $package.gitCommit=module -X $package.buildDate=1970-01-01T00:00:00Z"
done

# build NAME FLAGS PROGRAM…: builds the module and names it by each of the programs.
build() {
  local source=$testbed/../$1 flags="-s -w$2" name=$1 key folder
  shift 2
  key=$({ cat "$source"/{go.mod,go.sum,main.go} && echo "$flags $* $(go env GOVERSION GOARCH)"; } | sha256sum | cut -c1-16)
  folder=$cache/bin/$name-$key
  if [ ! -e "$folder" ]; then
    say "building $name (minutes on a machine that has never done it)"
    local start=$SECONDS
    rm -rf "$folder.new"
    mkdir -p "$folder.new"
    (cd "$source" && nice go build -trimpath -ldflags "$flags" -o "$folder.new/$1" .) >&2
    for program in "${@:2}"; do ln -s "$1" "$folder.new/$program"; done
    mv "$folder.new" "$folder"
    say "building $name took $((SECONDS - start)) s"
  fi
  echo "$folder"
}

exec 9>"$cache/lock"
flock 9
build kubernetes "$stamps" kube kube-apiserver kube-controller-manager kube-scheduler kubelet kube-proxy kubectl etcd
build coredns "" coredns
