/** DNS: queries of pods, and answers of name servers. */

import assert from 'node:assert/strict';
import { parseIp } from '../../../src/base/ip.ts';
import {
  answersQuery,
  encodeName,
  parseQuery,
  queryTypeName,
  writeAnswer,
  writeError,
} from '../../../src/ztunnel/dns/dns-message.ts';
import { type FuzzTarget, magnitude } from '../fuzz-target.ts';

const EDNS = Buffer.from([0, 0, 41, 4, 208, 0, 0, 0, 0, 0, 0]);

function query(name: string, type: number, edns: boolean): Uint8Array {
  const header = Buffer.from([0x12, 0x34, 1, 0, 0, 1, 0, 0, 0, 0, 0, edns ? 1 : 0]);
  return Buffer.concat([
    header,
    encodeName(name),
    Buffer.from([0, type, 0, 1]),
    edns ? EDNS : Buffer.alloc(0),
  ]);
}

/** Every answer to a query that was understood fits, and is one to that query. */
export const dnsTarget: FuzzTarget = {
  name: 'dns',
  seeds: () => [
    query('cart.shop.svc.cluster.local', 1, true),
    query('example.com', 28, false),
    query('', 255, false),
    query(`${'a'.repeat(63)}.${'b'.repeat(63)}.local`, 5, true),
  ],
  run: (input) => {
    const error = writeError(input, 2);
    assert.equal(error === undefined, input.length < 12);
    const parsed = parseQuery(input);
    if (parsed === undefined) return 'none';
    assert.ok(parsed.udpBytes >= 512 && parsed.udpBytes <= 1232);
    const records = Array.from({ length: 40 }, () => ({
      kind: 'address' as const,
      name: parsed.name,
      ip: parseIp('10.0.0.1')!,
      ttlSeconds: 30,
    }));
    const answer = writeAnswer(parsed, { rcode: 0, records }, parsed.udpBytes);
    assert.ok(answer.length <= parsed.udpBytes, `${answer.length} bytes`);
    assert.ok(answersQuery(answer, parsed.id, parsed.question));
    assert.equal(answersQuery(input, parsed.id, parsed.question), false, 'a query answers itself');
    return [queryTypeName(parsed.type), parsed.edns, magnitude(parsed.name.length)].join();
  },
};
