/** The HBONE server of one pod: who may connect, and the tunnels that its peers ask for. */

import type { AmbitError } from '../../base/errors.ts';
import { KeyCounts } from '../../base/key-counts.ts';
import { formatSpiffeId } from '../../base/spiffe-id.ts';
import { HboneServer } from '../../hbone/hbone-server.ts';
import type { SecureStream } from '../../hbone/secure-stream.ts';
import { verifyDownstream } from '../../identity/peer-verification.ts';
import { Lane } from '../../io/lane.ts';
import type { TcpSocket } from '../../io/tcp-socket.ts';
import { TlsStream } from '../../io/tls-stream.ts';
import { policySourceOf } from '../../mesh/policy-subject.ts';
import { logger } from '../../telemetry/log.ts';
import { CRL_REJECTIONS, HBONE_CONNECTIONS_FAILED } from '../telemetry/metric-definitions.ts';
import { InboundTunnel, type TunnelPeer } from './inbound-tunnel.ts';
import {
  type LimitName,
  MAX_HBONE_CONNECTIONS_PER_PEER,
  MAX_HBONE_CONNECTIONS_PER_POD,
  MAX_OPEN_HANDSHAKES_PER_POD,
} from './limits.ts';
import { LogAllowance } from './log-allowance.ts';
import type { ServedPod } from './served-pod.ts';

const log = logger('inbound');

export class InboundTunnels {
  readonly #pod: ServedPod;
  readonly #server: HboneServer<TunnelPeer>;
  /** What arrives for this pod is handled in turns with what arrives for others. */
  readonly #lane: Lane;
  readonly #perPeer = new KeyCounts();
  readonly #lines: LogAllowance;

  constructor(pod: ServedPod) {
    this.#pod = pod;
    const { reactor, http2Counters } = pod.context;
    this.#lane = new Lane(reactor, () => pod.limits.reached('turn_share_per_pod'));
    this.#lines = new LogAllowance(reactor.nowMs);
    this.#server = new HboneServer<TunnelPeer>({
      counters: http2Counters,
      maxHandshakes: MAX_OPEN_HANDSHAKES_PER_POD,
      held: pod.held,
      verifyPeer: (chain) => {
        const { config, revocations } = pod.context;
        const check = { list: revocations, nowMs: Date.now() };
        const verdict = verifyDownstream(chain, config.trustDomain, check);
        if (verdict.kind === 'refused') return verdict;
        const { identity } = verdict;
        return { kind: 'trusted', peer: { identity, policySource: policySourceOf(identity), chain } };
      },
      onConnect: (request, respond) => new InboundTunnel(pod, request, respond, this.#lane).start(),
      onTunnelRefused: ({ remoteAddress: { ip } }) =>
        pod.limits.reached('tunnels_per_connection', { peer: ip }),
      onConnectionEnd: (stream, error, peer) => this.#onConnectionEnd(stream, error, peer),
    });
  }

  /** Serves a connection to the pod's HBONE port as soon as the pod has a certificate. */
  accept(socket: TcpSocket): void {
    const { context, identityUri, limits } = this.#pod;
    const limit = this.#limitReachedBy(socket.remoteAddress.ip);
    if (limit !== undefined) {
      limits.reached(limit, { peer: socket.remoteAddress.ip });
      return socket.abort();
    }
    context.tls.withContexts(identityUri, (result) => {
      if (socket.state !== 'open') return;
      if ('server' in result) {
        this.#perPeer.add(socket.remoteAddress.ip);
        return this.#server.accept((handler) => TlsStream.server(socket, result.server, handler, this.#lane));
      }
      log.warn('connection refused: the pod has no certificate', {
        pod: this.#pod.info.name,
        error: result.message,
      });
      socket.abort();
    });
  }

  #limitReachedBy(ip: string): LimitName | undefined {
    if (this.connections >= MAX_HBONE_CONNECTIONS_PER_POD) return 'hbone_connections_per_pod';
    return this.#perPeer.of(ip) >= MAX_HBONE_CONNECTIONS_PER_PEER ? 'hbone_connections_per_peer' : undefined;
  }

  /** Those whose handshake is not done included. */
  get connections(): number {
    return this.#server.handshakes + this.#server.connections.size;
  }

  get openTunnels(): number {
    let count = this.#server.handshakes;
    for (const connection of this.#server.connections) count += connection.openTunnels;
    return count;
  }

  /** Asks peers to open no new tunnels on the connections that they have. */
  drain(): void {
    this.#server.startDrain();
  }

  closeWhere(isWanted: (peerChain: readonly Uint8Array[]) => boolean): void {
    this.#server.closeWhere((peer) => isWanted(peer.chain));
  }

  close(): void {
    this.#server.close();
  }

  #onConnectionEnd(stream: SecureStream, error: AmbitError | undefined, peer: TunnelPeer | undefined): void {
    const { ip } = stream.remoteAddress;
    this.#perPeer.remove(ip);
    if (error === undefined) return;
    const { context, limits } = this.#pod;
    const { store } = context;
    store.add(store.series(HBONE_CONNECTIONS_FAILED, [error.code]), 1);
    if (error.code === 'AMBIT_PEER_REVOKED') store.add(store.series(CRL_REJECTIONS, ['destination']), 1);
    if (error.code === 'AMBIT_HBONE_HANDSHAKE_DISPLACED')
      limits.reached('open_handshakes_per_pod', { peer: ip });
    this.#log(ip, error, peer);
  }

  #log(ip: string, error: AmbitError, peer: TunnelPeer | undefined): void {
    const unlogged = this.#lines.take(this.#pod.context.reactor.nowMs);
    if (unlogged === undefined) return this.#pod.limits.reached('refusal_lines_per_pod');
    const { name, namespace } = this.#pod.info;
    log.info('HBONE connection ended', {
      pod: name,
      namespace,
      peer: ip,
      identity: peer && formatSpiffeId(peer.identity),
      error: error.message,
      code: error.code,
      unlogged: unlogged > 0 ? unlogged : undefined,
    });
  }
}
