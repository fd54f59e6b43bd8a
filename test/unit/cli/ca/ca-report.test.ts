/** What `ambit ca` makes of the Secret with the CA. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readCa } from '../../../../src/cli/ca/ca-secret.ts';
import { rotateCa } from '../../../../src/cli/ca/rotate-ca.ts';
import { formatCa } from '../../../../src/cli/ca/show-ca.ts';
import type { Cluster } from '../../../../src/cli/cluster/cluster.ts';
import { SecretAuthority } from '../../../../src/controlplane/ca/secret-authority.ts';
import { setLogLevels } from '../../../../src/telemetry/log.ts';
import { ManualClock, settle } from '../../../support/manual-clock.ts';
import { MemorySecret } from '../../../support/memory-secret.ts';
import { wholeSeconds } from '../../identity/authorities.ts';

setLogLevels('ca=off');
const DAY_MS = 86_400_000;
const TABLE = { output: 'table', headers: false } as const;

/** A cluster that has nothing but this Secret, which a control plane serves. */
function clusterOf(secret: MemorySecret): Cluster {
  const request = async <T>({ method, body }: { method: string; body?: unknown }): Promise<T> => {
    const { current } = secret;
    if (current === undefined) throw Object.assign(new Error('not found'), { status: 404 });
    if (method === 'PATCH') {
      const { metadata } = body as { metadata: { annotations: Record<string, string> } };
      secret.put(current.data, metadata.annotations);
      await settle();
    }
    const encoded = Object.entries(current.data).map(([key, text]) => [
      key,
      Buffer.from(text).toString('base64'),
    ]);
    return { data: Object.fromEntries(encoded) } as T;
  };
  const unused = async () => assert.fail('not needed here');
  return {
    meshNamespace: 'ambit-system',
    api: { request },
    apply: unused,
    ask: unused,
    close: async () => {},
  };
}

test('every phase of a rotation is told with its certificates and the time of the next step', async () => {
  const secret = new MemorySecret();
  const clock = new ManualClock(wholeSeconds());
  const source = await SecretAuthority.open({ secret, trustDomain: 'cluster.local', clock });
  await source.noteIssued(clock.nowMs() + DAY_MS);
  const cluster = clusterOf(secret);
  assert.match(
    await formatCa(await readCa(cluster, 'ambit-ca'), TABLE),
    /^No rotation is under way\.\n.+ signs .+\n$/,
  );
  const begun = await rotateCa(cluster, { caSecret: 'ambit-ca', timeout: 5000 });
  assert.deepEqual(
    begun.certificates.map(({ role }) => role),
    ['signs', 'signs next'],
  );
  assert.match(await formatCa(begun, TABLE), /the old one signs until 20\d\d-/);
  await assert.rejects(rotateCa(cluster, { caSecret: 'ambit-ca', timeout: 5000 }), {
    code: 'AMBIT_CLI_CA_ROTATING',
  });
  await clock.advance(2 * DAY_MS);
  await settle();
  const switched = await readCa(cluster, 'ambit-ca');
  assert.ok(switched.rotation === 'switched' || switched.rotation === 'stable');
  source.close();
});

test('a CA that others gave is told as such, and not rotated', async () => {
  const secret = new MemorySecret();
  const source = await SecretAuthority.open({ secret, trustDomain: 'cluster.local' });
  source.close();
  const { 'rotation.json': _, ...given } = secret.current!.data;
  secret.put(given);
  const cluster = clusterOf(secret);
  assert.match(await formatCa(await readCa(cluster, 'ambit-ca'), TABLE), /was given by others/);
  await assert.rejects(rotateCa(cluster, { caSecret: 'ambit-ca', timeout: 5000 }), {
    code: 'AMBIT_CLI_CA_GIVEN',
  });
});

test('no Secret, one without a CA, and a control plane that does not answer are told apart', async () => {
  const secret = new MemorySecret();
  const cluster = clusterOf(secret);
  await assert.rejects(readCa(cluster, 'ambit-ca'), { code: 'AMBIT_CLI_NOT_INSTALLED' });
  secret.put({ 'tls.crt': 'x' });
  await assert.rejects(readCa(cluster, 'ambit-ca'), { code: 'AMBIT_CLI_BAD_ANSWER' });
  const other = new MemorySecret();
  (await SecretAuthority.open({ secret: other, trustDomain: 'cluster.local' })).close();
  await assert.rejects(rotateCa(clusterOf(other), { caSecret: 'ambit-ca', timeout: 10 }), {
    code: 'AMBIT_CLI_NOT_READY',
  });
});
