/** Judges open connections again when the mesh or a revocation list changes, and cuts those that are no longer allowed. */

import type { AmbitError } from '../../base/errors.ts';
import { identityErrors } from '../../identity/errors.ts';
import type { MeshChange } from '../../mesh/mesh-change.ts';
import { evaluate } from '../../mesh/policy-evaluation.ts';
import { logger } from '../../telemetry/log.ts';
import { errors } from '../errors.ts';
import { CRL_REJECTIONS } from '../telemetry/metric-definitions.ts';
import type { ConnectionDescription } from './connection-tracker.ts';
import type { PodProxy } from './pod-proxy.ts';
import type { ReactorContext } from './reactor-context.ts';

const log = logger('policy');

/** Cuts the connections whose verdict the change has turned, or whose source is no longer who its certificate says. */
export function reevaluate(context: ReactorContext, change: MeshChange): void {
  const affected = new Map<string, boolean>();
  const count = context.tracker.cutWhere((connection) => {
    const { subject, parties } = connection;
    if (parties.source !== undefined && change.identityChanged.has(parties.source.uid)) {
      return errors.AMBIT_POLICY_CHANGED(
        'connection closed due to policy change: its source has another identity now',
      );
    }
    if (subject === undefined || !isAffected(context, change, subject.workloadUid, affected))
      return undefined;
    return objectionTo(context, connection);
  });
  if (count > 0) log.info('connections closed after a change of policy', { connections: count });
}

/**
 * Cuts the connections whose peer now has a revoked certificate in its chain, and closes the HBONE connections to it:
 * a new tunnel on one that stands would need no handshake.
 */
export function cutRevoked(context: ReactorContext, pods: Iterable<PodProxy>): void {
  const nowMs = Date.now();
  context.tracker.cutWhere(({ peerChain, parties }) => {
    const revoked = peerChain && context.revocations.findRevoked(peerChain, nowMs);
    if (revoked === undefined) return undefined;
    const slot = context.store.series(CRL_REJECTIONS, [parties.reporter]);
    context.store.add(slot, 1);
    return identityErrors.AMBIT_PEER_REVOKED(`certificate revoked: serial number ${revoked.serialNumber}`);
  });
  const isRevoked = (chain: readonly Uint8Array[]) =>
    context.revocations.findRevoked(chain, nowMs) !== undefined;
  for (const pod of pods) pod.closeWhere(isRevoked);
}

function isAffected(
  context: ReactorContext,
  change: MeshChange,
  uid: string,
  known: Map<string, boolean>,
): boolean {
  let affected = known.get(uid);
  if (affected === undefined) {
    const workload = context.mesh.workloadByUid(uid);
    affected = workload !== undefined && change.affectsVerdict(workload);
    known.set(uid, affected);
  }
  return affected;
}

function objectionTo(context: ReactorContext, { subject }: ConnectionDescription): AmbitError | undefined {
  const workload = context.mesh.workloadByUid(subject!.workloadUid);
  if (workload === undefined) return undefined;
  const decision = evaluate(context.mesh.policiesFor(workload), subject!);
  if (decision.allowed) return undefined;
  return errors.AMBIT_POLICY_CHANGED(`connection closed due to policy change: ${decision.reason}`);
}
