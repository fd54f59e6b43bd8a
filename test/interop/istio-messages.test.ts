/** Our messages of the mesh and of the node agent under Istio's own types, both ways. */

import assert from 'node:assert/strict';
import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import type { Readable, Writable } from 'node:stream';
import { after, test } from 'node:test';
import fc from 'fast-check';
import type { Authorization as AuthorizationValue } from '../../src/mesh/authorization.ts';
import { decodeAuthorization, encodeAuthorization } from '../../src/xds/authorization-conversion.ts';
import { Authorization } from '../../src/xds/authorization-messages.ts';
import { decodeAddress, encodeService, encodeWorkload } from '../../src/xds/workload-conversion.ts';
import { Address } from '../../src/xds/workload-messages.ts';
import { WorkloadRequest, WorkloadResponse, ZdsHello } from '../../src/xds/zds-messages.ts';
import { interopPeer } from '../support/interop-peers.ts';
import { authorization, service, workload } from '../unit/xds/mesh-arbitraries.ts';

const RUNS = 300;

interface Answer {
  readonly json: unknown;
  readonly bytes: Uint8Array;
}

/** Decodes, prints and encodes with Istio's types. */
class IstioTypes {
  readonly #child: ChildProcessByStdio<Writable, Readable, null>;
  readonly #answers: AsyncIterator<string>;

  constructor() {
    this.#child = spawn(interopPeer('istio-messages'), { stdio: ['pipe', 'pipe', 'inherit'] });
    this.#answers = createInterface({ input: this.#child.stdout })[Symbol.asyncIterator]();
  }

  /** @param wanted `json` as well, which fails on an extension of a type that is not known there */
  async retell(typeName: string, bytes: Uint8Array, wanted: 'json' | 'bytes'): Promise<Answer> {
    this.#child.stdin.write(`${typeName} ${wanted} ${Buffer.from(bytes).toString('base64')}\n`);
    const { json, bytes: text, error } = JSON.parse((await this.#answers.next()).value);
    assert.equal(error, undefined);
    return { json, bytes: new Uint8Array(Buffer.from(text, 'base64')) };
  }

  end(): void {
    this.#child.stdin.end();
  }
}

/** What Istio calls the parts of a policy, which is not what they are called in the API that users write. */
const THEIR_NAMES: Readonly<Record<string, string>> = { rules: 'groups', clauses: 'rules' };

/** A message of ours as JSON of protobuf prints it: no field with its default, bytes in base64, one member of a choice. */
function inProtoJson(value: unknown): unknown {
  if (value instanceof Uint8Array) return Buffer.from(value).toString('base64');
  if (Array.isArray(value)) return value.map(inProtoJson);
  if (typeof value !== 'object' || value === null) return value;
  if (value instanceof Map)
    return Object.fromEntries([...value].map(([key, one]) => [key, inProtoJson(one)]));
  // A wrapper, which tells zero from nothing.
  if (Object.keys(value).join() === 'value') return Object.values(value)[0];
  const entries = Object.entries(value).flatMap(printedMember);
  return Object.fromEntries(entries.map(([key, one]) => [THEIR_NAMES[key] ?? key, inProtoJson(one)]));
}

/** A choice is printed as the member that is chosen, also when that has its default. */
function printedMember([key, value]: [string, unknown]): [string, unknown][] {
  const choice = value as { readonly kind?: unknown; readonly value?: unknown } | undefined;
  if (typeof choice?.kind === 'string') return [[choice.kind, choice.value]];
  return isDefault(value) ? [] : [[key, value]];
}

function isDefault(value: unknown): boolean {
  if (Array.isArray(value) || value instanceof Uint8Array) return value.length === 0;
  if (value instanceof Map) return value.size === 0;
  return value === undefined || value === 0 || value === '' || value === false;
}

const istio = new IstioTypes();
after(() => istio.end());

const word = fc.string({ maxLength: 12 });
const info = fc.record({
  name: word,
  namespace: word,
  serviceAccount: word,
});
const added = fc.record({ uid: word, workloadInfo: fc.option(info, { nil: undefined }) });
const named = fc.record({ uid: word });
const order = fc.oneof(
  added.map((value) => ({ kind: 'add' as const, value })),
  named.map((value) => ({ kind: 'keep' as const, value })),
  named.map((value) => ({ kind: 'del' as const, value })),
  fc.constant({ kind: 'snapshotSent' as const, value: {} }),
);
const answer = word.map((error) => ({ kind: 'ack' as const, value: { error } }));
const bare = { extensions: [] };

/** Matches have them as well. */
function withoutExtensions(policy: AuthorizationValue): AuthorizationValue {
  const rules = policy.rules.map(({ clauses }) => ({
    clauses: clauses.map(({ matches }) => ({ matches: matches.map((one) => ({ ...one, ...bare })) })),
  }));
  return { ...policy, ...bare, rules };
}

for (const [what, samples, codec] of [
  ['workload', workload.map((one) => encodeWorkload({ ...one, ...bare })), Address],
  ['service', service.map((one) => encodeService({ ...one, ...bare })), Address],
  ['policy', authorization.map(withoutExtensions).map(encodeAuthorization), Authorization],
  ['greeting', fc.constantFrom(0, 1).map((version) => ZdsHello.encode({ version })), ZdsHello],
  ['word of the node agent', order.map((payload) => WorkloadRequest.encode({ payload })), WorkloadRequest],
  ['answer of ztunnel', answer.map((payload) => WorkloadResponse.encode({ payload })), WorkloadResponse],
] as const) {
  test(`each field of a ${what} is to Istio what it is to us, and comes back as it was`, async () => {
    await fc.assert(
      fc.asyncProperty(samples as fc.Arbitrary<Uint8Array>, async (bytes) => {
        const { json, bytes: theirs } = await istio.retell(codec.typeName, bytes, 'json');
        assert.deepEqual(json, inProtoJson(codec.decode(bytes)));
        assert.deepEqual(codec.decode(theirs), codec.decode(bytes));
      }),
      { numRuns: RUNS },
    );
  });
}

for (const [what, samples, codec, decode] of [
  ['workload', workload.map(encodeWorkload), Address, decodeAddress],
  ['service', service.map(encodeService), Address, decodeAddress],
  ['policy', authorization.map(encodeAuthorization), Authorization, decodeAuthorization],
] as const) {
  test(`a ${what} with extensions passes through Istio's types`, async () => {
    await fc.assert(
      fc.asyncProperty(samples, async (bytes) => {
        const { bytes: theirs } = await istio.retell(codec.typeName, bytes, 'bytes');
        assert.deepEqual(decode(theirs), decode(bytes));
      }),
      { numRuns: RUNS },
    );
  });
}
