/** Our messages against the .proto files, as protoc understands them. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { Authorization } from '../../../src/xds/authorization-messages.ts';
import { IstioCertificateRequest, IstioCertificateResponse } from '../../../src/xds/certificate-messages.ts';
import { DeltaDiscoveryRequest, DeltaDiscoveryResponse } from '../../../src/xds/discovery-messages.ts';
import { BadRequest, Status } from '../../../src/xds/well-known-messages.ts';
import { Address } from '../../../src/xds/workload-messages.ts';
import { WorkloadRequest, WorkloadResponse, ZdsHello } from '../../../src/xds/zds-messages.ts';
import { ProtoFiles, protocDecode, protocEncode, protocMissing } from './protoc.ts';

interface Codec {
  readonly typeName: string;
  readonly encode: (value: never) => Uint8Array;
  readonly decode: (bytes: Uint8Array) => unknown;
}

const CODECS: readonly Codec[] = [
  Address,
  Authorization,
  DeltaDiscoveryRequest,
  DeltaDiscoveryResponse,
  Status,
  BadRequest,
  IstioCertificateRequest,
  IstioCertificateResponse,
  ZdsHello,
  WorkloadRequest,
  WorkloadResponse,
];

/** Each run starts protoc three times. */
const RUNS = 12;

if (protocMissing !== false) process.stderr.write(`\n*** ${protocMissing} ***\n\n`);

test('the codec agrees with protoc on every message', { skip: protocMissing }, async (t) => {
  const files = new ProtoFiles();
  for (const codec of CODECS) {
    await t.test(codec.typeName, () => {
      const samples = files.arbitrary(`.${codec.typeName}`);
      fc.assert(
        fc.property(samples, ({ text, value }) => {
          const theirs = protocEncode(codec.typeName, text);
          assert.deepEqual(plain(codec.decode(theirs)), plain(value));
          const ours = codec.encode(value as never);
          const retold = protocEncode(codec.typeName, protocDecode(codec.typeName, ours));
          assert.deepEqual(plain(codec.decode(retold)), plain(value));
        }),
        { numRuns: RUNS },
      );
    });
  }
});

/** Byte arrays as text: a Buffer and a Uint8Array of the same bytes are not equal to assert. */
function plain(value: unknown): unknown {
  if (value instanceof Uint8Array) return Buffer.from(value).toString('hex');
  if (value instanceof Map) return new Map([...value].map(([key, one]) => [key, plain(one)]));
  if (Array.isArray(value)) return value.map(plain);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, one]) => [key, plain(one)]));
}
