/** The packets of ZDS as the agent writes and reads them: one protobuf message each, small enough for Istio's ztunnel. */

import { WorkloadRequest, WorkloadResponse, ZdsHello, ZdsVersion } from '../xds/zds-messages.ts';
import { cniErrors } from './errors.ts';

/** Both ends of Istio read into buffers of this size; a longer packet is an error there. */
export const MAX_PACKET_BYTES = 1024;

/** A pod as ztunnel is told of it. */
export interface ZdsWorkload {
  readonly uid: string;
  readonly name: string;
  readonly namespace: string;
  readonly serviceAccount: string;
  /** Told to Ambit's ztunnel, skipped by Istio's. */
  readonly searchDomains: readonly string[];
  /** The pod's network namespace; undefined while the agent has none of it. */
  readonly netnsFd: number | undefined;
}

export interface ZdsPacket {
  readonly message: Uint8Array;
  /** Sent along; it stays the sender's. */
  readonly fd?: number;
}

/**
 * Offers a pod with its namespace. Search domains are left out when the packet would be too long with them.
 * @throws AMBIT_CNI_ZDS_PROTOCOL when it is too long all the same
 */
export function addPacket(workload: ZdsWorkload, fd: number): ZdsPacket {
  const full = encodeAdd(workload, workload.searchDomains);
  const message = full.length <= MAX_PACKET_BYTES ? full : encodeAdd(workload, []);
  if (message.length <= MAX_PACKET_BYTES) return { message, fd };
  throw cniErrors.AMBIT_CNI_ZDS_PROTOCOL(
    `${message.length} bytes to describe pod ${workload.uid.slice(0, 40)}`,
  );
}

/** Asks ztunnel not to drop a pod of which the agent has no namespace yet; only as part of a snapshot. */
export function keepPacket(uid: string): ZdsPacket {
  return { message: WorkloadRequest.encode({ payload: { kind: 'keep', value: { uid } } }) };
}

export function deletePacket(uid: string): ZdsPacket {
  return { message: WorkloadRequest.encode({ payload: { kind: 'del', value: { uid } } }) };
}

export function snapshotSentPacket(): ZdsPacket {
  return { message: WorkloadRequest.encode({ payload: { kind: 'snapshotSent', value: {} } }) };
}

/** Reads ztunnel's first message. @throws AMBIT_CNI_ZDS_PROTOCOL */
export function readHello(message: Uint8Array): void {
  const { version } = decode(ZdsHello, message);
  if (version !== ZdsVersion.V1)
    throw cniErrors.AMBIT_CNI_ZDS_PROTOCOL(`unknown protocol version ${version}`);
}

/** Reads an answer: undefined for success, else ztunnel's words. @throws AMBIT_CNI_ZDS_PROTOCOL */
export function readAnswer(message: Uint8Array): string | undefined {
  const { payload } = decode(WorkloadResponse, message);
  if (payload?.kind !== 'ack') throw cniErrors.AMBIT_CNI_ZDS_PROTOCOL('an answer that is no acknowledgement');
  return payload.value.error === '' ? undefined : payload.value.error;
}

function encodeAdd(workload: ZdsWorkload, searchDomains: readonly string[]): Uint8Array {
  const { uid, name, namespace, serviceAccount } = workload;
  const workloadInfo = { name, namespace, serviceAccount, searchDomains: [...searchDomains] };
  return WorkloadRequest.encode({ payload: { kind: 'add', value: { uid, workloadInfo } } });
}

function decode<T>(type: { decode: (bytes: Uint8Array) => T }, message: Uint8Array): T {
  try {
    return type.decode(message);
  } catch (thrown) {
    throw cniErrors.AMBIT_CNI_ZDS_PROTOCOL(`a message of ${message.length} bytes that is not ZDS`, thrown);
  }
}
