#!/usr/bin/env bash
# Makes the cluster's certificate authorities, certificates and kubeconfigs.
. "$(dirname "$0")/settings.sh"

mkdir -p "$certificates" "$kubeconfigs"
cd "$certificates"
new_key=(-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 3650)

# authority NAME
authority() {
  openssl req -x509 "${new_key[@]}" -keyout "$1.key" -out "$1.crt" -subj "/CN=$1" \
    -addext basicConstraints=critical,CA:TRUE -addext keyUsage=critical,keyCertSign,cRLSign,digitalSignature 2>/dev/null
}

# certificate NAME SUBJECT USAGE [ALTERNATIVE-NAMES [AUTHORITY]]
certificate() {
  local authority=${5:-ca} names=()
  [ -z "${4:-}" ] || names=(-addext "subjectAltName=$4")
  openssl req -x509 "${new_key[@]}" -keyout "$1.key" -out "$1.crt" -subj "$2" -CA "$authority.crt" -CAkey "$authority.key" \
    -addext basicConstraints=critical,CA:FALSE -addext keyUsage=critical,digitalSignature \
    -addext extendedKeyUsage="$3" "${names[@]}" 2>/dev/null
}

# user NAME SUBJECT: a client certificate and a kubeconfig that carries it.
user() {
  certificate "$1" "$2" "${3:-clientAuth}" "${4:-}"
  cat >"$kubeconfigs/$1" <<YAML
apiVersion: v1
kind: Config
clusters: [{name: $CLUSTER, cluster: {server: "https://$api_address:6443", certificate-authority-data: $(base64 -w0 ca.crt)}}]
users: [{name: $1, user: {client-certificate-data: $(base64 -w0 "$1.crt"), client-key-data: $(base64 -w0 "$1.key")}}]
contexts: [{name: $CLUSTER, context: {cluster: $CLUSTER, user: $1}}]
current-context: $CLUSTER
YAML
}

authority ca
authority front-proxy-ca
openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:prime256v1 -out service-accounts.key 2>/dev/null
openssl pkey -in service-accounts.key -pubout -out service-accounts.pub
service=kubernetes.default.svc
certificate apiserver /CN=kube-apiserver serverAuth \
  "DNS:kubernetes,DNS:kubernetes.default,DNS:$service,DNS:$service.cluster.local,IP:$api_address,IP:$service_network.0.1"
certificate apiserver-kubelet-client /O=system:masters/CN=kube-apiserver-kubelet-client clientAuth
certificate front-proxy-client /CN=front-proxy-client clientAuth "" front-proxy-ca
user admin /O=system:masters/CN=admin
for name in kube-controller-manager kube-scheduler kube-proxy; do user $name /CN=system:$name; done
for index in $(seq "$NODES"); do
  user "node$index" "/O=system:nodes/CN=system:node:node$index" clientAuth,serverAuth "DNS:node$index,IP:$(node_address "$index")"
done
