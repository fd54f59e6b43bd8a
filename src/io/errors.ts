/** Errors of connections: what went wrong between us and a peer. */

import { errorCatalogue } from '../base/errors.ts';

export const ioErrors = errorCatalogue({
  AMBIT_SOURCE_PORTS_EXHAUSTED: {
    side: 'upstream',
    hint: 'Every source port of the pod towards that destination is in use; find out what opens so many connections, or widen net.ipv4.ip_local_port_range of the pod.',
  },
  AMBIT_CONNECT_REFUSED: {
    side: 'upstream',
    retryable: true,
    hint: 'Nothing listens on that port, or a rule rejects it: check that the workload is up and serves the port.',
  },
  AMBIT_CONNECT_TIMED_OUT: {
    side: 'upstream',
    retryable: true,
    hint: 'Packets are dropped on the way: check NetworkPolicies (allow port 15008), firewalls and the node of the peer.',
  },
  AMBIT_CONNECT_UNREACHABLE: {
    side: 'upstream',
    retryable: true,
    hint: 'There is no route to that address: check the pod network and that the address still belongs to a workload.',
  },
  AMBIT_CONNECT_FAILED: {
    side: 'internal',
    hint: 'The socket could not be made or bound here: look the named error up in connect(2) and check limits and capabilities.',
  },
  AMBIT_LISTEN_FAILED: {
    side: 'internal',
    hint: 'EADDRINUSE: another process has the port. EACCES, EPERM: a capability is missing (NET_BIND_SERVICE, NET_ADMIN).',
  },
  AMBIT_DOWNSTREAM_RESET: {
    side: 'downstream',
    hint: 'The client broke the connection off; its own log says why.',
  },
  AMBIT_UPSTREAM_RESET: {
    side: 'upstream',
    hint: 'The server broke the connection off; its own log says why.',
  },
  AMBIT_DOWNSTREAM_LOST: {
    side: 'downstream',
    hint: 'The client stopped answering: its node or the network between failed.',
  },
  AMBIT_UPSTREAM_LOST: {
    side: 'upstream',
    hint: 'The server stopped answering: its node or the network between failed.',
  },
  AMBIT_TLS_PEER_REJECTED: {
    side: 'upstream',
    hint: "The peer's certificate does not chain up to our trusted roots, has expired, or is not meant for this: compare trust bundles and clocks.",
  },
  AMBIT_TLS_ALERT_RECEIVED: {
    side: 'upstream',
    hint: 'The peer refused the connection for the reason it names; its log says more, and its trust bundle is the first suspect.',
  },
  AMBIT_TLS_HANDSHAKE_FAILED: {
    side: 'upstream',
    retryable: true,
    hint: 'The peer does not speak TLS 1.3 on that port, or something on the way changed its bytes: check what listens there.',
  },
  AMBIT_TLS_HANDSHAKE_TIMED_OUT: {
    side: 'upstream',
    retryable: true,
    hint: 'The peer accepted the connection but did not go on: it is overloaded, or it does not speak TLS on that port.',
  },
  AMBIT_TLS_TRUNCATED: {
    side: 'upstream',
    hint: 'The connection ended without the TLS end mark, so the last message may be incomplete: the peer crashed or was cut off.',
  },
  AMBIT_TLS_PROTOCOL_FAILED: {
    side: 'upstream',
    hint: 'A record could not be decrypted or was malformed: bytes were changed on the way, or the peer has a defect.',
  },
  AMBIT_UNIX_CONNECT_FAILED: {
    side: 'internal',
    retryable: true,
    hint: 'Check that the process that owns the socket file runs, and that the file is shared with this container.',
  },
  AMBIT_UNIX_CONNECTION_FAILED: {
    side: 'internal',
    retryable: true,
    hint: 'The process at the other end of the Unix socket went away, or a limit on descriptors was reached.',
  },
  AMBIT_UNIX_MESSAGE_TRUNCATED: {
    side: 'internal',
    hint: 'The process at the other end speaks another version of the protocol: run node agent and ztunnel of one release.',
  },
  AMBIT_HANDLER_FAILED: {
    side: 'internal',
    hint: 'This is a defect of Ambit: please report it with the log line of scope "reactor" that precedes it.',
  },
});
