/** One plain-text connection to a pod of the mesh: judged by policy without an identity, then passed on. */

import type { AmbitError } from '../../base/errors.ts';
import { formatSocketAddress, type SocketAddress } from '../../base/ip.ts';
import type { TcpSocket, TcpSocketHandler } from '../../io/tcp-socket.ts';
import { meshErrors } from '../../mesh/errors.ts';
import type { Workload } from '../../mesh/workload.ts';
import type { ConnectionDescription } from './connection-tracker.ts';
import { relayPlain } from './plain-relay.ts';
import { illegalPorts } from './reactor-context.ts';
import type { ServedPod } from './served-pod.ts';
import { denialOf } from './verdict.ts';

export class InboundPlaintext implements TcpSocketHandler {
  readonly #pod: ServedPod;
  readonly #socket: TcpSocket;
  readonly #destination: SocketAddress;
  #workload: Workload | undefined;
  #upstream: TcpSocket | undefined;
  readonly #settled: () => void;
  #over = false;

  /** Takes over the socket of a captured connection. */
  constructor(pod: ServedPod, socket: TcpSocket) {
    this.#pod = pod;
    this.#socket = socket;
    this.#destination = socket.originalDestination() ?? socket.localAddress;
    this.#settled = pod.context.tracker.beginning(pod.info.uid, (error) => this.#fail(error));
    socket.handler = this;
  }

  start(): void {
    if (illegalPorts(this.#pod.context.config).has(this.#destination.port)) {
      const text = `attempted recursive call to ourselves: ${formatSocketAddress(this.#destination)}`;
      return this.#fail(meshErrors.AMBIT_SELF_CALL(text));
    }
    this.#pod.whenWorkloadKnown((workload) => {
      if (this.#over) return;
      if (workload === undefined) return this.#fail(this.#pod.unknownWorkload());
      this.#workload = workload;
      this.#judge(workload);
    });
  }

  onReadable(): void {}

  onWritable(): void {}

  /** The client is gone before the application was reached. */
  onClosed(): void {
    this.#end();
    this.#upstream?.close();
  }

  #judge(workload: Workload): void {
    const denial = denialOf(this.#pod.context, workload, this.#subject());
    if (denial === undefined) return this.#connect();
    this.#fail(denial);
  }

  #connect(): void {
    const upstream = this.#pod.connectPlain(this.#destination, this.#spoofedSource(), {
      onOpen: () => {
        if (this.#over) return;
        this.#end();
        const sockets = { client: this.#socket, server: upstream };
        relayPlain(this.#pod.context, sockets, this.#describe());
      },
      onFailed: (error) => this.#fail(error),
    });
    this.#upstream = upstream;
  }

  /** The application sees its client's address, except where the pod calls itself. */
  #spoofedSource(): SocketAddress | undefined {
    const { ip } = this.#socket.remoteAddress;
    const wanted = this.#pod.keepsSource && ip !== this.#destination.ip;
    return wanted ? { ip, port: 0 } : undefined;
  }

  #subject() {
    return {
      workloadUid: this.#pod.workloadUid,
      sourceIp: this.#socket.remoteAddress.ip,
      destinationIp: this.#destination.ip,
      destinationPort: this.#destination.port,
    };
  }

  #end(): void {
    this.#over = true;
    this.#settled();
  }

  #fail(error: AmbitError): void {
    if (this.#over) return;
    this.#end();
    this.#pod.connectionFailed(this.#describe(), error);
    this.#socket.abort();
  }

  #describe(): ConnectionDescription {
    const { context } = this.#pod;
    const source = this.#socket.remoteAddress;
    return {
      podUid: this.#pod.info.uid,
      originalDestination: this.#destination,
      protocol: 'TCP',
      subject: this.#subject(),
      parties: {
        reporter: 'destination',
        source: context.mesh.workloadByAddress(context.config.network, source.ip),
        destination: this.#workload,
        sourceIdentity: undefined,
        destinationIdentity: undefined,
        service: undefined,
      },
      addresses: { source, destination: this.#destination, hboneTarget: undefined },
    };
  }
}
