#!/usr/bin/env bash
# PID 1 of a node: node-init.sh INDEX "CONTROLLERS". Makes a machine out of the namespaces it is started in, then starts
# containerd, kubelet and kube-proxy. /etc, /var and /opt are the node's own over those of this machine, /run is fresh;
# the rest of the file system is the machine's.
. "$(dirname "$0")/settings.sh"

index=$1
name=node$index
folder=$state/nodes/$name
address=$(node_address "$index")
set -x

mount_file_systems() {
  local controller options top
  mount --make-rprivate /
  mount -t sysfs sysfs /sys
  mount -t tmpfs -o mode=755 cgroup /sys/fs/cgroup
  for controller in $1; do
    mkdir "/sys/fs/cgroup/$controller"
    options=$controller
    [ "$controller" != systemd ] || options=none,name=systemd
    mount -t cgroup -o "$options" cgroup "/sys/fs/cgroup/$controller"
  done
  mount -t bpf bpf /sys/fs/bpf
  mount -t tmpfs -o mode=755 run /run
  mkdir /run/netns /run/lock
  for top in etc var opt; do
    mount -t overlay overlay -o "lowerdir=/$top,upperdir=$folder/$top.upper,workdir=$folder/$top.work" "/$top"
  done
  mkdir -p /var/lib/{containerd,kubelet,cni} /var/log/{pods,containers} /etc/{cni/net.d,kubernetes,containerd} /opt/cni/bin
  # Containers are overlays themselves and need a real file system below.
  mount --bind "$folder/containerd" /var/lib/containerd
  mount --bind "$folder/kubelet" /var/lib/kubelet
}

# pretend SYSCTL VALUE: kubelet sets what would change this machine as a whole; it finds a file that says so already.
pretend() {
  local file=$folder/sysctl/${1//\//.}
  echo "$2" >"$file"
  mount --bind "$file" "/proc/sys/$1"
}

pretend_sysctls() {
  pretend vm/overcommit_memory 1
  pretend vm/panic_on_oom 0
  pretend kernel/panic 10
  pretend kernel/panic_on_oops 1
  pretend kernel/keys/root_maxkeys 1000000
  pretend kernel/keys/root_maxbytes 25000000
}

write_etc() {
  local family action
  echo "$name" >/etc/hostname
  printf '127.0.0.1 localhost\n%s %s\n' "$address" "$name" >/etc/hosts
  rm -f /etc/resolv.conf
  echo "nameserver $dns_address" >/etc/resolv.conf
  for family in iptables ip6tables; do
    ln -sfn "/usr/sbin/$family-$IPTABLES" "/etc/alternatives/$family"
    for action in save restore; do
      ln -sfn "/usr/sbin/$family-$IPTABLES-$action" "/etc/alternatives/$family-$action"
    done
  done
}

sysctl() { echo "$2" >"/proc/sys/net/$1"; }

set_up_network() {
  local other
  ip link set lo up
  ip link set eth0 up
  ip addr add "$address/24" dev eth0
  ip route add default via "$api_address"
  sysctl ipv4/ip_forward 1
  sysctl bridge/bridge-nf-call-iptables 1
  sysctl ipv4/conf/all/rp_filter 0
  sysctl ipv4/conf/default/rp_filter 0
  for other in $(seq "$NODES"); do
    [ "$other" = "$index" ] || ip route add "$(pod_cidr "$other")" via "$(node_address "$other")"
  done
  dual_stack || return 0
  ip addr add "$(node_address6 "$index")/64" dev eth0 nodad
  ip route add default via "$node_network6:1"
  sysctl ipv6/conf/all/forwarding 1
  sysctl bridge/bridge-nf-call-ip6tables 1
  for other in $(seq "$NODES"); do
    [ "$other" = "$index" ] || ip route add "$(pod_cidr6 "$other")" via "$(node_address6 "$other")"
  done
}

# What a person installs once: a node that has been changed since (by a mesh) keeps the change over a reboot.
write_cni() {
  local ranges="[{\"subnet\": \"$(pod_cidr "$index")\"}]" routes='{"dst": "0.0.0.0/0"}'
  [ ! -e /etc/cni/net.d/10-testbed.conflist ] || return 0
  if dual_stack; then
    ranges+=", [{\"subnet\": \"$(pod_cidr6 "$index")\"}]"
    routes+=', {"dst": "::/0"}'
  fi
  cp /usr/lib/cni/{bridge,host-local,loopback,portmap} /opt/cni/bin/
  cat >/etc/cni/net.d/10-testbed.conflist <<JSON
{"cniVersion": "0.4.0", "name": "testbed", "plugins": [
  {"type": "bridge", "bridge": "cni0", "isGateway": true, "ipMasq": false, "hairpinMode": true, "mtu": 1500,
   "ipam": {"type": "host-local", "ranges": [$ranges], "routes": [$routes]}},
  {"type": "portmap", "capabilities": {"portMappings": true}}
]}
JSON
}

# restrict_oom_score_adj: without CAP_SYS_RESOURCE nobody may make a process less likely to be killed.
write_containerd_configuration() {
  cat >/etc/containerd/config.toml <<'TOML'
version = 2
disabled_plugins = ["io.containerd.snapshotter.v1.devmapper", "io.containerd.snapshotter.v1.btrfs",
  "io.containerd.snapshotter.v1.zfs", "io.containerd.snapshotter.v1.aufs", "io.containerd.internal.v1.opt",
  "io.containerd.tracing.processor.v1.otlp"]
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "docker.io/testbed/pause:1"
  disable_apparmor = true
  restrict_oom_score_adj = true
  disable_hugetlb_controller = true
  tolerate_missing_hugetlb_controller = true
  [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
    runtime_type = "io.containerd.runc.v2"
TOML
}

# Disks that are nearly full, and the images on them, are none of the testbed's business.
write_kubelet_configuration() {
  cat >/etc/kubernetes/kubelet.yaml <<YAML
kind: KubeletConfiguration
apiVersion: kubelet.config.k8s.io/v1beta1
containerRuntimeEndpoint: unix:///run/containerd/containerd.sock
tlsCertFile: $certificates/$name.crt
tlsPrivateKeyFile: $certificates/$name.key
authentication: {anonymous: {enabled: false}, webhook: {enabled: true}, x509: {clientCAFile: $certificates/ca.crt}}
authorization: {mode: Webhook}
clusterDomain: cluster.local
clusterDNS: [$dns_address]
cgroupDriver: cgroupfs
failCgroupV1: false
failSwapOn: false
imageGCHighThresholdPercent: 100
imageGCLowThresholdPercent: 99
evictionHard: {memory.available: 1Mi, nodefs.available: 0%, nodefs.inodesFree: 0%, imagefs.available: 0%}
maxPods: 80
nodeStatusUpdateFrequency: 4s
serializeImagePulls: false
YAML
}

api_ready_from_here() { curl -sf --max-time 2 --cacert "$certificates/ca.crt" --cert "$certificates/$name.crt" \
  --key "$certificates/$name.key" "https://$api_address:6443/readyz" >/dev/null; }

run() {
  "$@" >>"$folder/log/$(basename "$1").log" 2>&1 &
  echo $! >"/run/$(basename "$1").pid"
}

start_containerd() {
  run containerd
  wait_until 60 "containerd to answer" ctr version >/dev/null 2>&1
}

start_kubelet() {
  local addresses=$address
  ! dual_stack || addresses+=,$(node_address6 "$index")
  run "$bin/kubelet" --config=/etc/kubernetes/kubelet.yaml --kubeconfig="$kubeconfigs/$name" \
    --hostname-override="$name" --node-ip="$addresses" --cert-dir=/var/lib/kubelet/pki
}

# In a network namespace the limits of connection tracking are read-only.
start_kube_proxy() {
  run "$bin/kube-proxy" --kubeconfig="$kubeconfigs/kube-proxy" --hostname-override="$name" --proxy-mode="$PROXY_MODE" \
    --cluster-cidr="$pod_cidrs" --bind-address="$address" --conntrack-max-per-core=0 \
    --conntrack-tcp-timeout-established=0 --conntrack-tcp-timeout-close-wait=0
}

hostname "$name"
mount_file_systems "$2"
pretend_sysctls
mount --make-rshared /
write_etc
set_up_network
write_cni
write_containerd_configuration
write_kubelet_configuration
start_containerd
wait_until 120 "the API server to be ready" api_ready_from_here
start_kubelet
start_kube_proxy
set +x
# As PID 1 bash reaps what containers leave behind.
while :; do
  sleep 1000 &
  wait $! || true
done
