#!/usr/bin/env bash
# Makes room for the watches on files of many nodes on one kernel; the last cluster that goes puts back what there was.
. "$(dirname "$0")/settings.sh"

limit=/proc/sys/fs/inotify/max_user_instances
[ "$(cat $limit)" -lt 1024 ] || exit 0
cat $limit >"$cache/clusters.inotify"
echo 1024 >$limit
