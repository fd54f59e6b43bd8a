#!/usr/bin/env bash
# Takes a cluster down and makes sure that nothing is left of it: no process, cgroup, namespace, mount or file.
. "$(dirname "$0")/settings.sh"

# Every process of the cluster is in this cgroup, whatever became of its parents.
end_processes() {
  local files pids
  mapfile -t files < <(find "/sys/fs/cgroup/pids/$cgroup" -name cgroup.procs 2>/dev/null)
  [ ${#files[@]} -gt 0 ] || return 0
  pids=$(cat "${files[@]}" 2>/dev/null | tr '\n' ' ') || true
  [ -n "$pids" ] || return 0
  # shellcheck disable=SC2086
  kill -9 $pids 2>/dev/null || true
  return 1
}

namespaces() { ip netns list | awk -v name="$network" '$1 == name || index($1, name ".") == 1 { print $1 }'; }

left_over() {
  local folder
  namespaces
  grep -F " $state/" /proc/mounts || true
  for folder in /sys/fs/cgroup/*/"$cgroup"; do [ ! -e "$folder" ] || echo "$folder"; done
  [ ! -e "$state" ] || echo "$state"
}

put_back_limits() {
  [ -e "$cache/clusters.inotify" ] && [ -z "$(ls "$cache/clusters")" ] || return 0
  cat "$cache/clusters.inotify" >/proc/sys/fs/inotify/max_user_instances
  rm "$cache/clusters.inotify"
}

wait_until 60 "the processes of $CLUSTER to end" end_processes
for namespace in $(namespaces); do ip netns del "$namespace"; done
wait_until 30 "the cgroups of $CLUSTER to be empty" remove_cgroups "$cgroup"
rm -rf --one-file-system "$state"
put_back_limits
left=$(left_over)
[ -z "$left" ] || fail "left of the cluster $CLUSTER: $left"
say "cluster $CLUSTER is down, nothing is left"
