#!/usr/bin/env bash
# Starts etcd and the servers of the control plane, or one of them again: control-plane.sh start | restart SERVER
. "$(dirname "$0")/settings.sh"

tokens=(--service-account-issuer=https://kubernetes.default.svc.cluster.local
  --service-account-key-file="$certificates/service-accounts.pub"
  --service-account-signing-key-file="$certificates/service-accounts.key")
front_proxy=(--requestheader-client-ca-file="$certificates/front-proxy-ca.crt"
  --requestheader-allowed-names=front-proxy-client --requestheader-username-headers=X-Remote-User
  --requestheader-group-headers=X-Remote-Group --requestheader-extra-headers-prefix=X-Remote-Extra-
  --proxy-client-cert-file="$certificates/front-proxy-client.crt"
  --proxy-client-key-file="$certificates/front-proxy-client.key" --enable-aggregator-routing=true)
kubelets=(--kubelet-client-certificate="$certificates/apiserver-kubelet-client.crt"
  --kubelet-client-key="$certificates/apiserver-kubelet-client.key"
  --kubelet-certificate-authority="$certificates/ca.crt" --kubelet-preferred-address-types=InternalIP)

arguments() {
  case $1 in
    etcd)
      # What a cluster of tests holds need not survive a power cut of the machine.
      echo --name=etcd --data-dir="$state/etcd" --unsafe-no-fsync --log-level=warn \
        --listen-client-urls=http://127.0.0.1:2379 --advertise-client-urls=http://127.0.0.1:2379 \
        --listen-peer-urls=http://127.0.0.1:2380 --initial-advertise-peer-urls=http://127.0.0.1:2380 \
        --initial-cluster=etcd=http://127.0.0.1:2380
      ;;
    kube-apiserver)
      echo --etcd-servers=http://127.0.0.1:2379 --advertise-address="$api_address" --bind-address=0.0.0.0 --secure-port=6443 \
        --service-cluster-ip-range="$service_cidrs" --authorization-mode=Node,RBAC \
        --enable-admission-plugins=NodeRestriction --allow-privileged=true --profiling=false \
        --client-ca-file="$certificates/ca.crt" --tls-cert-file="$certificates/apiserver.crt" \
        --tls-private-key-file="$certificates/apiserver.key" "${tokens[@]}" "${front_proxy[@]}" "${kubelets[@]}"
      ;;
    kube-controller-manager)
      # The nodes know their pod networks before the cluster exists, see node-init.sh.
      echo "$(as_user kube-controller-manager)" --use-service-account-credentials=true --root-ca-file="$certificates/ca.crt" \
        --service-account-private-key-file="$certificates/service-accounts.key" \
        --cluster-signing-cert-file="$certificates/ca.crt" --cluster-signing-key-file="$certificates/ca.key" \
        --service-cluster-ip-range="$service_cidrs" --cluster-cidr="$pod_cidrs" --allocate-node-cidrs=false
      ;;
    kube-scheduler) as_user kube-scheduler ;;
  esac
}

as_user() {
  local file=$kubeconfigs/$1
  echo --kubeconfig="$file" --authentication-kubeconfig="$file" --authorization-kubeconfig="$file" \
    --bind-address=127.0.0.1 --leader-elect=false --profiling=false
}

start() {
  local server=$1
  (
    echo "$BASHPID" >"/sys/fs/cgroup/pids/$cgroup/control-plane/cgroup.procs"
    echo "$BASHPID" >"$state/pids/$server"
    # shellcheck disable=SC2046
    exec setsid nsenter --net="/run/netns/$network" "$bin/$server" $(arguments "$server")
  ) >>"$state/log/$server.log" 2>&1 </dev/null &
  # A client that is started before the API server answers backs off for seconds.
  [ "$server" != kube-apiserver ] || wait_until 60 "an API server that is ready (see $state/log/$server.log)" api_ready
}

case $1 in
  start)
    mkdir -p "/sys/fs/cgroup/pids/$cgroup/control-plane"
    for server in etcd kube-apiserver kube-controller-manager kube-scheduler; do start $server; done
    ;;
  restart)
    pid=$(cat "$state/pids/$2")
    kill -9 "$pid"
    while [ -e "/proc/$pid" ]; do sleep 0.05; done
    start "$2"
    ;;
esac
