/** Asks the policies of a pod about a connection to it, and tells what those that are only rehearsed would have said. */

import type { AmbitError } from '../../base/errors.ts';
import { formatSpiffeId } from '../../base/spiffe-id.ts';
import { evaluate, type PolicyDecision } from '../../mesh/policy-evaluation.ts';
import type { Workload } from '../../mesh/workload.ts';
import { logger } from '../../telemetry/log.ts';
import { errors } from '../errors.ts';
import type { Subject } from './connection-tracker.ts';
import type { ReactorContext } from './reactor-context.ts';

const log = logger('rbac');

/** Why a connection that begins is not allowed; undefined when it is. */
export function denialOf(
  context: ReactorContext,
  workload: Workload,
  subject: Subject,
): AmbitError | undefined {
  const decision = evaluate(context.mesh.policiesFor(workload), subject);
  logRehearsal(workload, subject, decision);
  return decision.allowed ? undefined : errors.AMBIT_POLICY_DENIED(`policy rejection: ${decision.reason}`);
}

/** Only a verdict that would turn is worth a line. */
function logRehearsal(workload: Workload, subject: Subject, { allowed, dryRun }: PolicyDecision): void {
  if (dryRun === undefined || dryRun.allowed === allowed) return;
  const { source, sourceIp, destinationPort } = subject;
  log.info(`dry run: the connection would be ${dryRun.allowed ? 'allowed' : 'denied'}`, {
    reason: dryRun.reason,
    'src.ip': sourceIp,
    'src.identity': source && formatSpiffeId(source.identity),
    'dst.workload': workload.name,
    'dst.namespace': workload.namespace,
    'dst.port': destinationPort,
  });
}
