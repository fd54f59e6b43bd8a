import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { DeltaDiscoveryResponse } from '../../../src/xds/discovery-messages.ts';
import { ResourceCache, TypeCache } from '../../../src/xds/resource-cache.ts';
import { type PushPart, TypeSubscription } from '../../../src/xds/type-subscription.ts';

const TYPE = 'type.googleapis.com/test.Thing';

/** A client that keeps what it is sent, as the protocol wants it. */
class Client {
  readonly resources = new Map<string, { readonly version: string; readonly text: string }>();
  subscription: TypeSubscription;

  constructor(cache: TypeCache, versions: ReadonlyMap<string, string> = new Map()) {
    this.subscription = new TypeSubscription(cache, versions);
  }

  versions(): Map<string, string> {
    return new Map(Array.from(this.resources, ([name, { version }]) => [name, version]));
  }

  reconnect(cache: TypeCache): void {
    this.subscription.close();
    this.subscription = new TypeSubscription(cache, this.versions());
  }

  take(part: PushPart | undefined): PushPart | undefined {
    for (const frame of part?.frames ?? []) {
      for (const { name, version, resource } of DeltaDiscoveryResponse.decode(frame).resources) {
        this.resources.set(name, { version, text: Buffer.from(resource!.value).toString() });
      }
    }
    for (const name of part?.removed ?? []) this.resources.delete(name);
    return part;
  }

  takeAll(maxBytes: number): number {
    for (let parts = 0; ; parts++)
      if (this.take(this.subscription.next(maxBytes)) === undefined) return parts;
  }

  texts(): Record<string, string> {
    return Object.fromEntries(Array.from(this.resources, ([name, { text }]) => [name, text]).sort());
  }
}

function put(cache: TypeCache, name: string, text: string, aliases: readonly string[] = []): void {
  cache.apply([{ name, bytes: Buffer.from(text), aliases }]);
}

function drop(cache: TypeCache, ...names: readonly string[]): void {
  cache.apply(names.map((name) => ({ name, bytes: undefined })));
}

function everything(
  cache: TypeCache,
  wanted: (name: string, aliases: readonly string[]) => boolean,
): string[] {
  return [...cache.live()].filter((entry) => wanted(entry.name, entry.aliases)).map((entry) => entry.name);
}

const NAMES = ['a', 'b', 'c', 'd', 'e', 'f'];
const name = fc.constantFrom(...NAMES);
const text = fc.string({ minLength: 1, maxLength: 30 });
const command = fc.oneof(
  fc.record({ kind: fc.constant('put' as const), name, text }),
  fc.record({ kind: fc.constant('drop' as const), name }),
  fc.record({ kind: fc.constant('pull' as const), maxBytes: fc.integer({ min: 1, max: 200 }) }),
  fc.record({ kind: fc.constant('reconnect' as const) }),
);
type Command = typeof command extends fc.Arbitrary<infer C> ? C : never;

function change(cache: TypeCache, one: Command): void {
  if (one.kind === 'put') put(cache, one.name, one.text, [`alias-${one.name}`, `first-${one.text[0]}`]);
  if (one.kind === 'drop') drop(cache, one.name);
}

test('a client of everything ends up with everything, whatever happens in between', () => {
  fc.assert(
    fc.property(fc.array(command, { maxLength: 40 }), (commands) => {
      const cache = new TypeCache(TYPE);
      const client = new Client(cache);
      client.subscription.subscribeAll();
      for (const one of commands) {
        change(cache, one);
        if (one.kind === 'pull') client.take(client.subscription.next(one.maxBytes));
        if (one.kind === 'reconnect') {
          client.reconnect(cache);
          client.subscription.subscribeAll();
        }
      }
      client.takeAll(50);
      assert.deepEqual(Object.keys(client.texts()).sort(), everything(cache, () => true).sort());
      for (const [held, { version }] of client.resources) assert.equal(version, cache.get(held)?.version);
    }),
    { numRuns: 300 },
  );
});

test('a client of some names ends up with those, and with the owners of those addresses', () => {
  const ask = fc.record({
    kind: fc.constant('ask' as const),
    names: fc.uniqueArray(
      fc.oneof(
        name,
        name.map((one) => `alias-${one}`),
        fc.constant('*'),
      ),
      { maxLength: 3 },
    ),
    not: fc.uniqueArray(fc.oneof(name, fc.constant('*')), { maxLength: 2 }),
  });
  fc.assert(
    fc.property(fc.array(fc.oneof(command, ask), { maxLength: 40 }), (commands) => {
      const cache = new TypeCache(TYPE);
      const client = new Client(cache);
      const names = new Set<string>();
      client.subscription.change(['*'], ['*']);
      for (const one of commands) {
        if (one.kind === 'ask') {
          client.subscription.change(one.names, one.not);
          for (const added of one.names) names.add(added);
          for (const gone of one.not) names.delete(gone);
        } else if (one.kind === 'pull') client.take(client.subscription.next(one.maxBytes));
        else if (one.kind === 'reconnect') {
          client.reconnect(cache);
          client.subscription.change([...names, '*'], names.has('*') ? [] : ['*']);
        } else change(cache, one);
      }
      client.takeAll(50);
      const wanted = (own: string, aliases: readonly string[]): boolean =>
        names.has('*') || names.has(own) || aliases.some((alias) => names.has(alias));
      for (const entry of cache.live()) {
        if (!wanted(entry.name, entry.aliases)) continue;
        assert.equal(
          client.resources.get(entry.name)?.version,
          entry.version,
          `${entry.name} is missing or old`,
        );
      }
      for (const held of client.resources.keys()) {
        if (names.has(held) || names.has('*'))
          assert.equal(cache.get(held)?.state, 'live', `${held} is gone`);
      }
    }),
    { numRuns: 500 },
  );
});

test('the first push comes even if there is nothing', () => {
  const client = new Client(new TypeCache(TYPE));
  client.subscription.subscribeAll();
  const first = client.subscription.next(1000);
  assert.deepEqual(first, { revision: 0, frames: [], removed: [], more: false });
  assert.equal(client.subscription.next(1000), undefined);
});

test('what the client holds unchanged is not sent again, what is gone is named', () => {
  const cache = new TypeCache(TYPE);
  put(cache, 'same', '1');
  put(cache, 'other', '1');
  put(cache, 'gone', '1');
  const client = new Client(cache);
  client.subscription.subscribeAll();
  client.takeAll(1000);
  client.subscription.close();
  put(cache, 'other', '2');
  drop(cache, 'gone');
  put(cache, 'new', '1');
  client.reconnect(cache);
  client.subscription.subscribeAll();
  const part = client.take(client.subscription.next(1000));
  assert.equal(part?.frames.length, 2);
  assert.deepEqual(part?.removed, ['gone']);
  assert.deepEqual(client.texts(), { new: '1', other: '2', same: '1' });
});

test('a restarted server with the same contents gives the same versions', () => {
  const [one, two] = [new TypeCache(TYPE), new TypeCache(TYPE)];
  put(one, 'x', 'content');
  put(two, 'y', 'something else');
  put(two, 'x', 'content');
  assert.equal(one.get('x')?.version, two.get('x')?.version);
});

test('a name that leads nowhere is answered, and so is one that was asked for before', () => {
  const cache = new TypeCache(TYPE);
  put(cache, 'a', '1', ['net/10.0.0.1']);
  const client = new Client(cache);
  client.subscription.change(['net/10.0.0.9', 'net/10.0.0.1'], []);
  const first = client.take(client.subscription.next(1000));
  assert.deepEqual(first?.removed, ['net/10.0.0.9']);
  assert.deepEqual(client.texts(), { a: '1' });
  client.subscription.change(['a'], []);
  assert.equal(client.subscription.next(1000)?.frames.length, 1);
});

test('an address that moves to another workload brings that one', () => {
  const cache = new TypeCache(TYPE);
  put(cache, 'old', '1', ['net/10.0.0.1']);
  const client = new Client(cache);
  client.subscription.change(['net/10.0.0.1'], []);
  client.takeAll(1000);
  drop(cache, 'old');
  put(cache, 'new', '2', ['net/10.0.0.1']);
  client.takeAll(1000);
  assert.deepEqual(client.texts(), { new: '2' });
});

test('a workload that was found by its address is followed when the address changes', () => {
  const cache = new TypeCache(TYPE);
  put(cache, 'a', '1', ['net/10.0.0.1']);
  const client = new Client(cache);
  client.subscription.change(['net/10.0.0.1'], []);
  client.takeAll(1000);
  put(cache, 'a', '2', ['net/10.0.0.2']);
  client.takeAll(1000);
  assert.deepEqual(client.texts(), { a: '2' });
});

test('what was unsubscribed is not sent any more', () => {
  const cache = new TypeCache(TYPE);
  put(cache, 'a', '1', ['net/10.0.0.1']);
  const client = new Client(cache);
  client.subscription.change(['a', 'net/10.0.0.1'], []);
  client.takeAll(1000);
  client.subscription.change([], ['a']);
  put(cache, 'a', '2', ['net/10.0.0.1']);
  client.takeAll(1000);
  assert.deepEqual(client.texts(), { a: '2' });
  client.subscription.change([], ['net/10.0.0.1']);
  put(cache, 'a', '3', ['net/10.0.0.1']);
  assert.equal(client.subscription.next(1000), undefined);
});

test('a push is cut into parts of the size, and only the last says that it is complete', () => {
  const cache = new TypeCache(TYPE);
  for (let i = 0; i < 100; i++) put(cache, `name-${i}`, 'x'.repeat(100));
  const client = new Client(cache);
  client.subscription.subscribeAll();
  const parts: PushPart[] = [];
  for (let part = client.subscription.next(1000); part !== undefined; part = client.subscription.next(1000)) {
    parts.push(part);
    client.take(part);
  }
  assert.ok(parts.length > 10);
  assert.deepEqual(
    parts.map((part) => part.more),
    parts.map((_, i) => i < parts.length - 1),
  );
  for (const part of parts) assert.ok(part.frames.reduce((sum, frame) => sum + frame.length, 0) <= 1000);
  assert.equal(client.resources.size, 100);
});

test('what changed while a push was under way is sent once, in its latest state', () => {
  const cache = new TypeCache(TYPE);
  for (const one of NAMES) put(cache, one, 'first');
  const client = new Client(cache);
  client.subscription.subscribeAll();
  client.take(client.subscription.next(1));
  for (let i = 0; i < 50; i++) put(cache, 'f', `state ${i}`);
  drop(cache, 'e');
  let sent = 0;
  for (let part = client.subscription.next(1); part !== undefined; part = client.subscription.next(1)) {
    client.take(part);
    for (const frame of part.frames) {
      const [resource] = DeltaDiscoveryResponse.decode(frame).resources;
      if (resource!.name === 'f') sent++;
    }
  }
  assert.equal(sent, 1);
  assert.deepEqual(client.texts(), { a: 'first', b: 'first', c: 'first', d: 'first', f: 'state 49' });
});

test('clients at the same state share one answer', () => {
  const cache = new TypeCache(TYPE);
  put(cache, 'a', '1');
  assert.equal(cache.changesSince(0), cache.changesSince(0));
});

test('the memory of what was removed ends when everybody has heard of it', () => {
  const cache = new TypeCache(TYPE);
  const [quick, slow] = [new Client(cache), new Client(cache)];
  for (const client of [quick, slow]) {
    client.subscription.subscribeAll();
    client.takeAll(1000);
  }
  for (let i = 0; i < 5000; i++) {
    put(cache, `pod-${i}`, 'x');
    drop(cache, `pod-${i}`);
    quick.takeAll(1000);
  }
  assert.equal(cache.get('pod-0')?.state, 'removed');
  slow.takeAll(100_000);
  assert.equal(slow.resources.size, 0);
  for (let i = 0; i < 5000; i++) {
    put(cache, `pod-${i}`, 'x');
    drop(cache, `pod-${i}`);
    quick.takeAll(1000);
    slow.takeAll(1000);
  }
  const remembered = Array.from({ length: 5000 }, (_, i) => cache.get(`pod-${i}`)).filter(Boolean);
  assert.ok(remembered.length < 3000, `${remembered.length} removals are remembered`);
});

test('a client that lags behind more removals than are remembered is told so', () => {
  const cache = new TypeCache(TYPE);
  const client = new Client(cache);
  client.subscription.subscribeAll();
  client.takeAll(1000);
  const names = Array.from({ length: 150_000 }, (_, i) => `pod-${i}`);
  for (let i = 0; i < names.length; i += 1000) {
    cache.apply(names.slice(i, i + 1000).map((one) => ({ name: one, bytes: Buffer.from('x') })));
  }
  assert.equal(client.subscription.fellBehind, false);
  for (let i = 0; i < names.length; i += 1000) drop(cache, ...names.slice(i, i + 1000));
  assert.equal(client.subscription.fellBehind, true);
});

test('an update that changes nothing is none', () => {
  const cache = new ResourceCache([TYPE]);
  let notified = 0;
  const stop = cache.onChange(() => notified++);
  assert.equal(cache.update(TYPE, [{ name: 'a', bytes: Buffer.from('1') }]), 1);
  assert.equal(cache.update(TYPE, [{ name: 'a', bytes: Buffer.from('1') }]), 0);
  assert.equal(cache.update(TYPE, [{ name: 'b', bytes: undefined }]), 0);
  assert.equal(notified, 1);
  stop();
  assert.throws(() => cache.update('type.googleapis.com/other', []), {
    code: 'AMBIT_XDS_RESOURCE_TYPE_UNKNOWN',
  });
});
