#!/usr/bin/env bash
# One node: node.sh start|stop|reboot INDEX. Stopping is a power cut: every process of the node ends at once.
. "$(dirname "$0")/settings.sh"

index=$2
name=node$index
folder=$state/nodes/$name
namespace=$network.$name

start() {
  mkdir -p "$folder"/{etc,var,opt}.{upper,work} "$folder"/{kubelet,log,sysctl}
  [ -e "$folder/containerd" ] || "$testbed/clone-store.sh" "$state/store" "$folder/containerd"
  ip netns add "$namespace"
  ip -n "$network" link add "$name" type veth peer name eth0 netns "$namespace"
  ip -n "$network" link set "$name" master nodes up
  make_cgroups
  (
    for controller in $(controllers); do echo "$BASHPID" >"/sys/fs/cgroup/$controller/$cgroup/$name/cgroup.procs"; done
    echo "$BASHPID" >"$state/pids/$name"
    exec setsid nsenter --net="/run/netns/$namespace" \
      unshare --mount --uts --ipc --cgroup --pid --fork --mount-proc --kill-child \
      "$testbed/node-init.sh" "$index" "$(controllers | tr '\n' ' ')"
  ) >"$folder/log/init.log" 2>&1 </dev/null &
}

# A cpuset without CPUs takes no process, and kubelet wants all of them in its own.
make_cgroups() {
  local controller file folder
  for controller in $(controllers); do
    mkdir -p "/sys/fs/cgroup/$controller/$cgroup/$name"
    [ "$controller" = cpuset ] || continue
    for folder in "$cgroup" "$cgroup/$name"; do
      for file in cpuset.cpus cpuset.mems; do
        cat "/sys/fs/cgroup/cpuset/$file" >"/sys/fs/cgroup/cpuset/$folder/$file"
      done
    done
  done
}

stop() {
  local outer init
  outer=$(cat "$state/pids/$name")
  # Its child is PID 1 of the node, whose end is the end of all of them.
  init=$(init_of "$outer")
  kill -9 "$init"
  while [ -e "/proc/$outer" ]; do sleep 0.05; done
  rm "$state/pids/$name"
  # The kernel takes a namespace and its links away some time after it is told to; the next one's link has the same name.
  ip -n "$network" link del "$name"
  ip netns del "$namespace"
  wait_until 30 "the cgroups of $name to be empty" remove_cgroups "$cgroup/$name"
}

case $1 in
  start) start ;;
  stop) stop ;;
  reboot)
    stop
    start
    ;;
esac
