import assert from 'node:assert/strict';
import { test } from 'node:test';
import { HostnameResolver } from '../../../src/ztunnel/proxy/hostname-resolver.ts';
import { ip } from '../mesh/builders.ts';
import { ManualReactor } from './manual-reactor.ts';

/** As in the source: an answer's life, and the names that are kept. */
const ANSWER_LIFETIME_MS = 30_000;
const MAX_NAMES = 4096;
const ADDRESSES = [ip('192.0.2.1'), ip('2001:db8::1')];

function bench() {
  const reactor = new ManualReactor();
  const asked: string[] = [];
  const resolver = new HostnameResolver(reactor, (hostname) => asked.push(hostname));
  const answers: (readonly string[])[] = [];
  const resolve = (hostname: string) => resolver.resolve(hostname, (found) => answers.push(found));
  return { reactor, asked, resolver, answers, resolve };
}

test('many connections that need one name ask once, and all get the answer', () => {
  const { asked, resolver, answers, resolve } = bench();
  for (let i = 0; i < 3; i++) resolve('db.example');
  assert.deepEqual([asked, answers], [['db.example'], []]);
  resolver.answer('db.example', ADDRESSES);
  assert.deepEqual(answers, [ADDRESSES, ADDRESSES, ADDRESSES]);
});

test('an answer is used for its lifetime and asked for anew after it', () => {
  const { reactor, asked, resolver, answers, resolve } = bench();
  resolve('db.example');
  resolver.answer('db.example', ADDRESSES);
  reactor.advance(ANSWER_LIFETIME_MS - 1);
  resolve('db.example');
  assert.deepEqual([asked.length, answers.length], [1, 2]);
  reactor.advance(1);
  resolve('db.example');
  assert.deepEqual([asked.length, answers.length], [2, 2]);
  resolver.answer('db.example', []);
  assert.deepEqual(answers.at(-1), []);
});

test('a name without an address is remembered like any other answer', () => {
  const { asked, resolver, answers, resolve } = bench();
  resolve('nowhere.example');
  resolver.answer('nowhere.example', []);
  resolve('nowhere.example');
  assert.deepEqual([asked.length, answers], [1, [[], []]]);
});

test('an answer to a question that nobody asked, or that came twice, is passed over', () => {
  const { asked, resolver, answers, resolve } = bench();
  resolver.answer('db.example', ADDRESSES);
  resolve('db.example');
  assert.deepEqual([asked.length, answers.length], [1, 0]);
  resolver.answer('db.example', ADDRESSES);
  resolver.answer('db.example', ADDRESSES);
  assert.equal(answers.length, 1);
});

test('beyond the names that are kept the oldest goes, and who waits for it gets no address', () => {
  const { asked, resolver, answers, resolve } = bench();
  resolve('first.example');
  for (let i = 1; i < MAX_NAMES; i++) resolve(`${i}.example`);
  assert.deepEqual(answers, []);
  resolve('one.too.many');
  assert.deepEqual(answers, [[]]);
  resolver.answer('first.example', ADDRESSES);
  assert.deepEqual(answers, [[]]);
  resolve('first.example');
  assert.equal(asked.filter((name) => name === 'first.example').length, 2);
  assert.equal(answers.length, 2);
});

test('a connection that asks again while it is being answered gets the answer from memory', () => {
  const { asked, resolver, answers, resolve } = bench();
  resolver.resolve('db.example', () => resolve('db.example'));
  resolver.answer('db.example', ADDRESSES);
  assert.deepEqual([asked.length, answers], [1, [ADDRESSES]]);
});
