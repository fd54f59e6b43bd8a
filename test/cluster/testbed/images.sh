#!/usr/bin/env bash
# Makes the images every cluster has, and the store of unpacked images that nodes clone: images.sh COREDNS; prints the folder.
#   testbed/pause, testbed/busybox   busybox alone
#   testbed/coredns
#   testbed/tools                    bash, curl, openssl, tcpdump, iptables and the like, and Node
. "$(dirname "$0")/settings.sh"

coredns=$1
node=$checkout/node_modules/node/bin/node
[ -x "$node" ] || fail "$node is missing: run make setup first"
tools="bash xtables-legacy-multi xtables-nft-multi nft ipset ip ss tc nsenter unshare conntrack socat curl openssl tcpdump cat ls ps
grep sed awk sleep tail head timeout sysctl mount base64 stat getent"

key() {
  cat "$0" "$testbed/image.sh"
  echo "$coredns $("$node" --version)"
  # shellcheck disable=SC2046
  stat -L --format='%n %s %Y' $(for tool in busybox $tools; do command -v "$tool"; done)
}
folder=$cache/images/$(key | sha256sum | cut -c1-16)
exec 9>"$cache/lock"
flock 9
if [ -e "$folder" ]; then
  echo "$folder"
  exit
fi
say "making the images of the testbed"
work=$folder.new
rm -rf "$work"
mkdir -p "$work"

# libraries PROGRAM… : copies what the dynamic linker would load for them into the image.
libraries() {
  local root=$1 library
  shift
  # ldd prints a heading for each of several files, and fails on static ones.
  { ldd "$@" 2>/dev/null || true; } | grep -v ':$' | grep -o '/lib[^ ]*' | sort -u | while read -r library; do
    mkdir -p "$root/usr$(dirname "$library")"
    cp -L "$library" "$root/usr$library"
  done
}

busybox_root() {
  local root=$1 applet
  mkdir -p "$root"/{bin,etc,tmp,proc,sys,dev,root}
  cp "$(command -v busybox)" "$root/bin/busybox"
  for applet in $("$root/bin/busybox" --list); do
    [ "$applet" = busybox ] || ln -s busybox "$root/bin/$applet"
  done
  echo 'root:x:0:0:root:/root:/bin/sh' >"$root/etc/passwd"
  echo 'root:x:0:' >"$root/etc/group"
}

tools_root() {
  local root=$1 folder tool path family flavour action
  mkdir -p "$root"/{usr/bin,usr/sbin,usr/lib,usr/lib64,etc,tmp,proc,sys,dev,root,run,var}
  for folder in bin sbin lib lib64; do ln -s "usr/$folder" "$root/$folder"; done
  ln -s ../run "$root/var/run"
  for tool in $tools; do
    path=$(command -v "$tool") || fail "$tool is missing"
    cp -L "$path" "$root/usr/bin/"
    libraries "$root" "$path"
  done
  cp "$node" "$root/usr/bin/node"
  libraries "$root" "$node"
  local matches
  matches=$(dirname "$(find /usr/lib -path '*/xtables/libxt_tcp.so')")
  mkdir -p "$root$matches"
  cp -a "$matches/." "$root$matches"
  libraries "$root" "$matches"/*.so
  for flavour in legacy nft; do
    for family in iptables ip6tables; do
      for action in "" -save -restore; do ln -s "../bin/xtables-$flavour-multi" "$root/usr/sbin/$family-$flavour$action"; done
    done
  done
  ln -s iptables-nft "$root/usr/sbin/iptables"
  cp "$(command -v busybox)" "$root/usr/bin/busybox"
  for tool in $(busybox --list); do
    [ -e "$root/usr/bin/$tool" ] || [ -e "$root/usr/sbin/$tool" ] || ln -s busybox "$root/usr/bin/$tool"
  done
  cp /etc/protocols /etc/services "$root/etc/"
  echo 'root:x:0:0:root:/root:/bin/bash' >"$root/etc/passwd"
  echo 'root:x:0:' >"$root/etc/group"
}

busybox_root "$work/roots/busybox"
tools_root "$work/roots/tools"
mkdir -p "$work/roots/coredns"
cp "$coredns/coredns" "$work/roots/coredns/"
image() { "$testbed/image.sh" "$work/$1.tar" "testbed/$1:1" "$3" "$work/roots/$2"; }
image busybox busybox '["sh"]'
# A pod's sandbox is ended by SIGKILL and reaps nothing, so any program that sleeps will do.
image pause busybox '["sh", "-c", "while :; do sleep 100000 & wait; done"]'
image coredns coredns '["/coredns", "-conf", "/etc/coredns/Corefile"]'
image tools tools '["bash"]'
"$testbed/image-store.sh" "$work/store" "$work"/*.tar
rm -rf "$work"/*.tar "$work/roots/busybox" "$work/roots/coredns"
mv "$work" "$folder"
echo "$folder"
