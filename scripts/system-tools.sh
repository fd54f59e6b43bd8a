#!/bin/sh
# Makes sure of the system tools that redirection and the sandbox call, with the word `tests` of those that only tests
# call, with `bench` of those that the data plane is measured against; by apt where root and apt are there.
set -eu
PATH=$PATH:/usr/sbin:/sbin

# command:Debian package
wanted="iptables:iptables ip6tables:iptables iptables-legacy:iptables nft:nftables ipset:ipset ip:iproute2 tc:iproute2
unshare:util-linux nsenter:util-linux mount:mount tcpdump:tcpdump conntrack:conntrack curl:curl ps:procps"
wanted_by_tests="openssl:openssl protoc:protobuf-compiler nghttp:nghttp2-client nghttpd:nghttp2-server
nghttpx:nghttp2-proxy pip3:python3-pip faketime:faketime"
[ "${1:-}" != tests ] || wanted="$wanted $wanted_by_tests"
[ "${1:-}" != bench ] || wanted="$wanted haproxy:haproxy"

missing=
for pair in $wanted; do
  command -v "${pair%%:*}" >/dev/null 2>&1 || missing="$missing ${pair##*:}"
done
# A module of Debian's own Python, which need not be the first one on the PATH.
if [ "${1:-}" = tests ] && ! "${AMBIT_GRPC_PYTHON:-/usr/bin/python3}" -c 'import grpc' >/dev/null 2>&1; then
  missing="$missing python3-grpcio"
fi
missing=$(printf '%s\n' $missing | sort -u | tr '\n' ' ')
[ -n "${missing# }" ] || exit 0
if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null 2>&1; then
  echo "setup: these packages are missing: $missing" >&2
  echo "setup: install them as root (on Debian: apt install $missing) and run this again" >&2
  exit 1
fi
echo "setup: installing $missing" >&2
apt-get update -qq
DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing >/dev/null
