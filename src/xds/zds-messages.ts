/** The messages of istio.workload.zds, by which the node agent hands pods to the node proxy; one per packet. */

import { message, oneof, optional, repeated, singular, type ValueOf } from './message-schema.ts';
import { Empty } from './well-known-messages.ts';
import { ENUM, STRING } from './wire-type.ts';

export const ZdsVersion = { NOT_USED: 0, V1: 1 } as const;

/** The proxy's first message on a connection. */
export const ZdsHello = message('istio.workload.zds.ZdsHello', { version: singular(1, ENUM) });
export type ZdsHello = ValueOf<typeof ZdsHello>;

export const WorkloadInfo = message('istio.workload.zds.WorkloadInfo', {
  name: singular(1, STRING),
  namespace: singular(2, STRING),
  serviceAccount: singular(3, STRING),
  /** Ambit's own: the `search` list of the pod's resolv.conf. Far from Istio's numbers, and skipped by its ztunnel. */
  searchDomains: repeated(100, STRING),
});
export type WorkloadInfo = ValueOf<typeof WorkloadInfo>;

/** Travels with exactly one descriptor: the pod's network namespace. */
export const AddWorkload = message('istio.workload.zds.AddWorkload', {
  uid: singular(1, STRING),
  workloadInfo: optional(2, WorkloadInfo),
});
export type AddWorkload = ValueOf<typeof AddWorkload>;

/** The agent knows the pod but has no namespace of it; only before the snapshot is complete. */
export const KeepWorkload = message('istio.workload.zds.KeepWorkload', { uid: singular(1, STRING) });
export type KeepWorkload = ValueOf<typeof KeepWorkload>;

/** The uid is field 2 here, not 1. */
export const DelWorkload = message('istio.workload.zds.DelWorkload', { uid: singular(2, STRING) });
export type DelWorkload = ValueOf<typeof DelWorkload>;

/** Agent to proxy; each is answered by one {@link WorkloadResponse}. */
export const WorkloadRequest = message('istio.workload.zds.WorkloadRequest', {
  payload: oneof({
    add: [1, AddWorkload],
    del: [2, DelWorkload],
    snapshotSent: [3, Empty],
    keep: [5, KeepWorkload],
  }),
});
export type WorkloadRequest = ValueOf<typeof WorkloadRequest>;

/** An empty error is success. */
export const Ack = message('istio.workload.zds.Ack', { error: singular(1, STRING) });
export type Ack = ValueOf<typeof Ack>;

export const WorkloadResponse = message('istio.workload.zds.WorkloadResponse', {
  payload: oneof({ ack: [1, Ack] }),
});
export type WorkloadResponse = ValueOf<typeof WorkloadResponse>;
