/** `ambit ca rotate`: asks the control plane for a new root, and waits until every replica trusts it beside the old one. */

import { setTimeout as setTimeoutAsync } from 'node:timers/promises';
import type { Cluster } from '../cluster/cluster.ts';
import { errors } from '../errors.ts';
import { type CaReport, ROTATE_ANNOTATION, readCa, secretPath } from './ca-secret.ts';

export interface RotateCaOptions {
  readonly caSecret: string;
  /** Milliseconds. */
  readonly timeout: number;
}

const POLL_MS = 500;

/**
 * Resolves with the CA when the rotation has begun; what is left of it goes on by itself.
 * @throws AmbitError AMBIT_CLI_CA_GIVEN, AMBIT_CLI_CA_ROTATING, AMBIT_CLI_NOT_READY, and as {@link readCa}
 */
export async function rotateCa(cluster: Cluster, { caSecret, timeout }: RotateCaOptions): Promise<CaReport> {
  refuse(await readCa(cluster, caSecret));
  await cluster.api.request({
    method: 'PATCH',
    path: secretPath(cluster, caSecret),
    contentType: 'application/merge-patch+json',
    body: { metadata: { annotations: { [ROTATE_ANNOTATION]: new Date().toISOString() } } },
  });
  const end = performance.now() + timeout;
  while (performance.now() < end) {
    const report = await readCa(cluster, caSecret);
    if (report.rotation !== 'stable') return report;
    await setTimeoutAsync(POLL_MS);
  }
  throw errors.AMBIT_CLI_NOT_READY(
    `the control plane has not taken the request up within ${timeout / 1000} s; it stays on the Secret`,
  );
}

function refuse({ key, rotation, nextStep, secret }: CaReport): void {
  if (key === 'given') throw errors.AMBIT_CLI_CA_GIVEN(`the CA in Secret ${secret} was given by others`);
  if (rotation === 'stable') return;
  throw errors.AMBIT_CLI_CA_ROTATING(`the root is being replaced already; it goes on at ${nextStep}`);
}
