/** The drills as a whole: no limit is without one. */

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { Http2Counters } from '../../../src/http/http2-counters.ts';
import { LIMIT_NAMES } from '../../../src/ztunnel/proxy/limits.ts';
import { HTTP2_PROTECTION, LIMIT_REACHED } from '../../../src/ztunnel/telemetry/metric-definitions.ts';
import { PROTECTION_LIMITS } from '../../../src/ztunnel/telemetry/reactor-gauges.ts';
import { ALL_DRILLS } from '../../attack/drills.ts';

const counted = new Set(ALL_DRILLS.flatMap(({ counters = [] }) => counters));

test('every limit of the proxy and of HTTP/2 is reached by a drill that asserts its count', () => {
  const floods = Object.keys(new Http2Counters().floods).map((name) => `${name}Flood`);
  const expected = [
    ...LIMIT_NAMES.map((limit) => `${LIMIT_REACHED}/${limit}`),
    ...[...PROTECTION_LIMITS, ...floods].map((limit) => `${HTTP2_PROTECTION}/${limit}`),
  ];
  assert.deepEqual(
    expected.filter((counter) => !counted.has(counter)),
    [],
  );
});

test('every drill is named in the table of attacks', () => {
  const text = readFileSync(new URL('../../../docs/security.md', import.meta.url), 'utf8');
  const attacks = text.slice(text.indexOf('### Attacks'), text.indexOf('### Drills'));
  assert.deepEqual(
    ALL_DRILLS.map(({ name }) => name).filter((name) => !attacks.includes(`\`${name}\``)),
    [],
  );
});
