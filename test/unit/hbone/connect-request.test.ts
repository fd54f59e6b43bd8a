/** What proxies say to each other in a CONNECT request, written and read. */

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { ipFromBytes, parseSocketAddress } from '../../../src/base/ip.ts';
import { type Baggage, formatBaggage, parseBaggage } from '../../../src/hbone/baggage.ts';
import { connectHeaders, parseConnectHeaders, responseHeaders } from '../../../src/hbone/connect-request.ts';
import { formatConnectTarget, parseConnectTarget } from '../../../src/hbone/connect-target.ts';
import { formatForwarded, parseForwardedHost } from '../../../src/hbone/forwarded.ts';
import { newTraceparent, parseTraceparent } from '../../../src/hbone/trace-context.ts';
import type { HeaderList } from '../../../src/http/header-list.ts';
import { messageFault } from '../../../src/http/message-rules.ts';

const source = parseSocketAddress('10.1.2.3:41234')!;
const label = fc.stringMatching(/^[a-z0-9]([a-z0-9-]{0,20}[a-z0-9])?$/);
const port = fc.integer({ min: 1, max: 65_535 });
const ip = fc
  .oneof(fc.uint8Array({ minLength: 4, maxLength: 4 }), fc.uint8Array({ minLength: 16, maxLength: 16 }))
  .map((bytes) => ipFromBytes(bytes)!);

describe('the target', () => {
  test('is an address or a name with a port, and reads back as it was written', () => {
    const target = fc.oneof(
      fc.record({ kind: fc.constant('address' as const), address: fc.record({ ip, port }) }),
      fc.record({
        kind: fc.constant('hostname' as const),
        hostname: fc
          .array(label, { minLength: 1, maxLength: 6 })
          .map((labels) => labels.join('.'))
          .filter((name) => !/^[\d.]+$/.test(name)),
        port,
      }),
    );
    fc.assert(
      fc.property(target, (one) =>
        assert.deepEqual(parseConnectTarget(formatConnectTarget(one)), structuredClone(one)),
      ),
    );
  });

  for (const text of [
    '',
    ':80',
    '10.0.0.1',
    '10.0.0.1:',
    '10.0.0.1:0',
    '10.0.0.1:65536',
    '10.0.0.256:80',
    '10.0.0:80',
    '::1:80',
    '[::1]',
    '[::1]:x',
    '[fe80::1%eth0]:80',
    'cart',
    'cart:http',
    'cart:99999',
    'cart..shop:80',
    'cart shop:80',
    'user@cart:80',
    'http://cart:80',
    'cart:80/path',
    `${'a'.repeat(254)}:80`,
  ]) {
    test(`is not ${JSON.stringify(text.slice(0, 30))}`, () => {
      assert.equal(parseConnectTarget(text), undefined);
    });
  }

  test('never throws, whatever the text', () => {
    fc.assert(
      fc.property(fc.string({ maxLength: 300 }), (text) => {
        parseConnectTarget(text);
        parseBaggage(text);
        parseForwardedHost(text);
        parseTraceparent(text);
      }),
      { numRuns: 1000 },
    );
  });

  test('may be a wildcard service, and is lower case', () => {
    assert.deepEqual(parseConnectTarget('*.Example.COM:443'), {
      kind: 'hostname',
      hostname: '*.example.com',
      port: 443,
    });
  });
});

describe('baggage', () => {
  const full: Baggage = {
    cluster: 'Kubernetes',
    namespace: 'shop',
    workloadType: 'deployment',
    workload: 'cart',
    service: 'cart',
    version: 'v1',
    region: 'eu-1',
    zone: 'eu-1a',
  };

  test('has the order and the names of Istio', () => {
    assert.equal(
      formatBaggage(full),
      'k8s.cluster.name=Kubernetes,k8s.namespace.name=shop,k8s.deployment.name=cart,service.name=cart,service.version=v1,cloud.region=eu-1,cloud.availability_zone=eu-1a',
    );
  });

  test('leaves out what is empty, missing or cannot be sent', () => {
    assert.equal(
      formatBaggage({ namespace: 'shop', service: '', version: 'a,b', zone: 'ü' }),
      'k8s.namespace.name=shop',
    );
    assert.equal(formatBaggage({}), undefined);
  });

  test('reads back as it was written', () => {
    const value = fc.option(fc.stringMatching(/^[a-zA-Z0-9._/=-]{1,30}$/), { nil: undefined });
    const some = fc.record({
      cluster: value,
      namespace: value,
      service: value,
      version: value,
      region: value,
      zone: value,
      workload: fc.constant('cart-7f'),
      workloadType: fc.constantFrom('pod', 'job', 'cronjob', 'deployment'),
    });
    fc.assert(
      fc.property(some, (one) => {
        const present = Object.fromEntries(Object.entries(one).filter(([, text]) => text !== undefined));
        assert.deepEqual(parseBaggage(formatBaggage(present)!), present);
      }),
    );
  });

  test('is read in any order, with properties, blanks and keys that nobody knows', () => {
    const text =
      ' cloud.region = r ; ttl=1 ,, nonsense, =x, k8s.statefulset.name=db-0,__proto__=1,constructor=2,service.name=';
    assert.deepEqual(parseBaggage(text), { region: 'r', workloadType: 'statefulset', workload: 'db-0' });
  });
});

describe('forwarded', () => {
  test('names the source, and the service that was meant', () => {
    assert.equal(formatForwarded(source, undefined), 'for="10.1.2.3:41234"');
    const v6 = parseSocketAddress('[fd00::5]:7')!;
    assert.equal(
      formatForwarded(v6, 'cart.shop.svc.cluster.local'),
      'for="[fd00::5]:7";host=cart.shop.svc.cluster.local',
    );
  });

  const cases: readonly (readonly [text: string, host: string | undefined])[] = [
    ['for="10.0.0.1:1";host=cart.shop', 'cart.shop'],
    ['Host="Cart.Shop"; proto=http', 'cart.shop'],
    ['for="a;host=evil";host=good', 'good'],
    ['for=a, for=b;host=second', 'second'],
    ['for=10.0.0.1', undefined],
    ['host=', undefined],
    ['host="ü"', undefined],
    ['host="a b"', undefined],
    [`host=${'a'.repeat(254)}`, undefined],
  ];
  for (const [text, host] of cases) {
    test(`${JSON.stringify(text.slice(0, 40))} says ${host ?? 'nothing'}`, () => {
      assert.equal(parseForwardedHost(text), host);
    });
  }
});

describe('traceparent', () => {
  test('is random, valid, and 55 characters long', () => {
    const seen = new Set(Array.from({ length: 500 }, newTraceparent));
    assert.equal(seen.size, 500);
    for (const one of seen) assert.equal(parseTraceparent(one), one);
  });

  for (const text of [
    '',
    '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-0',
    '00-0AF7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01',
    '00-00000000000000000000000000000000-b7ad6b7169203331-01',
    '00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01',
    '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-x',
  ]) {
    test(`is not ${JSON.stringify(text)}`, () => assert.equal(parseTraceparent(text), undefined));
  }
});

describe('a request', () => {
  test('carries what the outbound proxy knows, in the order of Istio, and reads back', () => {
    const traceparent = newTraceparent();
    const headers = connectHeaders({
      authority: '10.9.8.7:8080',
      baggage: formatBaggage({ namespace: 'shop', workload: 'front', workloadType: 'pod' }),
      source,
      serviceHostname: 'cart.shop.svc.cluster.local',
      traceparent,
      sourceNetwork: 'west',
    });
    assert.deepEqual(headers, [
      [':method', 'CONNECT'],
      [':authority', '10.9.8.7:8080'],
      ['baggage', 'k8s.namespace.name=shop,k8s.pod.name=front'],
      ['forwarded', 'for="10.1.2.3:41234";host=cart.shop.svc.cluster.local'],
      ['traceparent', traceparent],
      ['x-forwarded-network', 'west'],
    ]);
    assert.equal(messageFault('request', headers), undefined);
    const {
      target,
      baggage,
      serviceHostname,
      traceparent: trace,
      sourceNetwork,
    } = parseConnectHeaders(headers)!;
    assert.deepEqual(target, { kind: 'address', address: parseSocketAddress('10.9.8.7:8080')! });
    assert.deepEqual(baggage, { namespace: 'shop', workload: 'front', workloadType: 'pod' });
    assert.deepEqual(
      [serviceHostname, trace, sourceNetwork],
      ['cart.shop.svc.cluster.local', traceparent, 'west'],
    );
  });

  test('may consist of a target alone', () => {
    const headers: HeaderList = [
      [':method', 'CONNECT'],
      [':authority', 'cart.shop:80'],
    ];
    assert.deepEqual(connectHeaders({ authority: 'cart.shop:80' }), headers);
    assert.deepEqual(parseConnectHeaders(headers)!.baggage, {});
  });

  test('in several baggage lines is one baggage', () => {
    const parsed = parseConnectHeaders([
      [':method', 'CONNECT'],
      [':authority', '10.0.0.1:1'],
      ['baggage', 'service.name=a'],
      ['baggage', 'service.version=2'],
    ]);
    assert.deepEqual(parsed!.baggage, { service: 'a', version: '2' });
  });

  test('that is not CONNECT, or leads nowhere, is none', () => {
    assert.equal(
      parseConnectHeaders([
        [':method', 'GET'],
        [':authority', '10.0.0.1:1'],
      ]),
      undefined,
    );
    assert.equal(
      parseConnectHeaders([
        [':method', 'CONNECT'],
        [':authority', 'nowhere'],
      ]),
      undefined,
    );
  });

  test('is answered with a status, and the destination where there is one', () => {
    assert.deepEqual(responseHeaders(503), [[':status', '503']]);
    assert.deepEqual(responseHeaders(200, formatBaggage({ service: 'cart' })), [
      [':status', '200'],
      ['baggage', 'service.name=cart'],
    ]);
  });
});
