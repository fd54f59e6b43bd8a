#!/usr/bin/env bash
# Makes sure that this machine can carry a cluster, and says what is missing; installs Debian's packages where it may.
. "$(dirname "$0")/settings.sh"

[ "$(id -u)" = 0 ] || fail "a cluster needs root: nodes are made of network, mount and process namespaces and of cgroups"
[ -n "$(controllers)" ] || fail "there is no cgroup v1 hierarchy here; the nodes of this testbed need it"

mkdir -p "$cache/clusters"
case $(stat --file-system --format=%T "$cache") in
  ext2/ext3 | xfs | btrfs) ;;
  *) fail "$cache is not on ext4, xfs or btrfs: containers need a disk's own file system; set XDG_CACHE_HOME to one" ;;
esac

# command:Debian package
wanted="containerd:containerd ctr:containerd runc:runc /usr/lib/cni/bridge:containernetworking-plugins conntrack:conntrack
busybox:busybox-static socat:socat iptables:iptables ipset:ipset ip:iproute2 nft:nftables nsenter:util-linux openssl:openssl
curl:curl tcpdump:tcpdump"

missing() {
  local pair
  for pair in $wanted; do
    command -v "${pair%%:*}" >/dev/null || echo "${pair##*:}"
  done | sort -u | tr '\n' ' '
}

install() {
  say "installing $*"
  # Installing a package must not start containerd on this machine.
  local policy=/usr/sbin/policy-rc.d
  if [ ! -e $policy ]; then
    trap 'rm -f /usr/sbin/policy-rc.d' EXIT
    printf '#!/bin/sh\nexit 101\n' >$policy
    chmod +x $policy
  fi
  apt-get update -qq
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" >/dev/null
}

exec 9>"$cache/lock"
flock 9
packages=$(missing)
if [ -n "$packages" ]; then
  command -v apt-get >/dev/null || fail "these packages are missing: $packages"
  # shellcheck disable=SC2086
  install $packages
  [ -z "$(missing)" ] || fail "still missing: $(missing)"
fi
# A node links the clone of its images, which are shared, so busybox must need no library.
! ldd "$(command -v busybox)" >/dev/null 2>&1 || fail "busybox needs libraries here; install busybox-static"
