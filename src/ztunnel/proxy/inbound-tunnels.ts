/** The HBONE server of one pod: who may connect, and the tunnels that its peers ask for. */

import type { AmbitError } from '../../base/errors.ts';
import { HboneServer } from '../../hbone/hbone-server.ts';
import { verifyDownstream } from '../../identity/peer-verification.ts';
import type { TcpSocket } from '../../io/tcp-socket.ts';
import { TlsStream } from '../../io/tls-stream.ts';
import { logger } from '../../telemetry/log.ts';
import { CRL_REJECTIONS } from '../telemetry/metric-definitions.ts';
import { InboundTunnel, type TunnelPeer } from './inbound-tunnel.ts';
import { MAX_HBONE_CONNECTIONS_PER_POD } from './limits.ts';
import { countLimit } from './reactor-context.ts';
import type { ServedPod } from './served-pod.ts';

const log = logger('inbound');

export class InboundTunnels {
  readonly #pod: ServedPod;
  readonly #server: HboneServer<TunnelPeer>;

  constructor(pod: ServedPod) {
    this.#pod = pod;
    this.#server = new HboneServer<TunnelPeer>({
      counters: pod.context.http2Counters,
      verifyPeer: (chain) => {
        const { config, revocations } = pod.context;
        const check = { list: revocations, nowMs: Date.now() };
        const verdict = verifyDownstream(chain, config.trustDomain, check);
        if (verdict.kind === 'refused') return verdict;
        return { kind: 'trusted', peer: { identity: verdict.identity, chain } };
      },
      onConnect: (request, respond) => new InboundTunnel(pod, request, respond).start(),
      onConnectionEnd: (stream, error) => this.#onConnectionEnd(stream.remoteAddress.ip, error),
    });
  }

  /** Serves a connection to the pod's HBONE port as soon as the pod has a certificate. */
  accept(socket: TcpSocket): void {
    const { context, identityUri } = this.#pod;
    if (this.connections >= MAX_HBONE_CONNECTIONS_PER_POD) {
      countLimit(context, 'hbone_connections_per_pod');
      return socket.abort();
    }
    context.tls.withContexts(identityUri, (result) => {
      if (socket.state !== 'open') return;
      if ('server' in result) {
        return this.#server.accept((handler) => TlsStream.server(socket, result.server, handler));
      }
      log.warn('connection refused: the pod has no certificate', {
        pod: this.#pod.info.name,
        error: result.message,
      });
      socket.abort();
    });
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

  #onConnectionEnd(peerIp: string, error: AmbitError | undefined): void {
    if (error === undefined) return;
    const { name, namespace } = this.#pod.info;
    const fields = { pod: name, namespace, peer: peerIp, error: error.message, code: error.code };
    if (error.code === 'AMBIT_PEER_REVOKED') {
      const { store } = this.#pod.context;
      store.add(store.series(CRL_REJECTIONS, ['destination']), 1);
    }
    log.info('HBONE connection ended', fields);
  }
}
