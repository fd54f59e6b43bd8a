import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { formatSpiffeId, parseSpiffeId } from '../../../src/base/spiffe-id.ts';

const segment = fc.stringMatching(/^[A-Za-z0-9._-]{1,63}$/).filter((text) => text !== '.' && text !== '..');

test('every SPIFFE ID of the mesh survives being written and read', () => {
  fc.assert(
    fc.property(segment, segment, segment, (trustDomain, namespace, serviceAccount) => {
      const id = { trustDomain, namespace, serviceAccount };
      const text = formatSpiffeId(id);
      assert.equal(text, `spiffe://${trustDomain}/ns/${namespace}/sa/${serviceAccount}`);
      assert.deepEqual(parseSpiffeId(text), id);
    }),
  );
});

test('whatever can be read is written as the very same text', () => {
  const part = fc.constantFrom(
    'spiffe:',
    'spiffe://',
    '/',
    'ns',
    'sa',
    'a',
    '.',
    '..',
    '%41',
    '?',
    '#',
    '@',
    ':',
    ' ',
  );
  fc.assert(
    fc.property(
      fc.array(part, { maxLength: 12 }).map((parts) => parts.join('')),
      (text) => {
        const id = parseSpiffeId(text);
        if (id !== undefined) assert.equal(formatSpiffeId(id), text);
      },
    ),
    { numRuns: 1000 },
  );
});

const NO_IDS = [
  '',
  'spiffe://',
  'spiffe://cluster.local',
  'spiffe://cluster.local/ns/shop',
  'spiffe://cluster.local/ns/shop/sa/',
  'spiffe://cluster.local/ns//sa/web',
  'spiffe:///ns/shop/sa/web',
  'spiffe://cluster.local/ns/shop/sa/web/',
  'spiffe://cluster.local/ns/shop/sa/web/more',
  'spiffe://cluster.local/sa/web/ns/shop',
  'spiffe://cluster.local/NS/shop/sa/web',
  'SPIFFE://cluster.local/ns/shop/sa/web',
  'https://cluster.local/ns/shop/sa/web',
  ' spiffe://cluster.local/ns/shop/sa/web',
  'spiffe://cluster.local/ns/shop/sa/web\n',
  'spiffe://cluster.local/ns/shop/sa/we b',
  'spiffe://cluster.local/ns/shop/sa/we%62',
  'spiffe://cluster.local/ns/shop/sa/web?x',
  'spiffe://cluster.local/ns/shop/sa/web#x',
  'spiffe://user@cluster.local/ns/shop/sa/web',
  'spiffe://cluster.local:443/ns/shop/sa/web',
  'spiffe://cluster.local/ns/shop/sa/wéb',
  'spiffe://cluster.local/ns/../sa/web',
  'spiffe://cluster.local/ns/shop/sa/.',
];

for (const text of NO_IDS) {
  test(`${JSON.stringify(text)} is no SPIFFE ID of the mesh`, () =>
    assert.equal(parseSpiffeId(text), undefined));
}

test('an ID may be 2048 characters long and no longer', () => {
  const start = 'spiffe://cluster.local/ns/shop/sa/';
  const longest = start + 'a'.repeat(2048 - start.length);
  assert.notEqual(parseSpiffeId(longest), undefined);
  assert.equal(parseSpiffeId(`${longest}a`), undefined);
});
