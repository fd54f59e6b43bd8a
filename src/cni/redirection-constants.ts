/** The numbers that redirection and ztunnel have in common; they are Istio's, so that either side may be Istio's. */

/** ztunnel's ports inside every enrolled pod. */
export const OUTBOUND_PORT = 15001;
export const INBOUND_PLAINTEXT_PORT = 15006;
export const HBONE_PORT = 15008;
export const DNS_CAPTURE_PORT = 15053;

/** SO_MARK of every socket that ztunnel opens in a pod: its packets are not captured again. */
export const PROXY_MARK = '0x539/0xfff';
/** Mark of replies to connections that ztunnel opened under its peer's address: they are routed back to it. */
export const RETURN_MARK = '0x111/0xfff';
export const RETURN_TABLE = 100;
export const RETURN_RULE_PRIORITY = 32764;
/** Conntrack zone of ztunnel's own DNS queries, whose ports may collide with the application's. */
export const DNS_CONNTRACK_ZONE = 1;

export const PREROUTING_CHAIN = 'ISTIO_PRERT';
export const OUTPUT_CHAIN = 'ISTIO_OUTPUT';
export const POSTROUTING_CHAIN = 'ISTIO_POSTRT';

/** Source address that connections of node-local processes (kubelet's probes) to enrolled pods are given. */
export const PROBE_SOURCE_V4 = '169.254.7.127';
export const PROBE_SOURCE_V6 = 'fd16:9254:7127:1337:ffff:ffff:ffff:ffff';
export const PROBE_SET_V4 = 'istio-inpod-probes-v4';
export const PROBE_SET_V6 = 'istio-inpod-probes-v6';
