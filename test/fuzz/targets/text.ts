/** Short texts: addresses, identities, header fields, and the names that tunnels lead to. */

import assert from 'node:assert/strict';
import {
  Cidr,
  formatSocketAddress,
  ipFromBytes,
  ipToBytes,
  parseIp,
  parseSocketAddress,
} from '../../../src/base/ip.ts';
import { formatSpiffeId, parseSpiffeId } from '../../../src/base/spiffe-id.ts';
import { formatBaggage, parseBaggage } from '../../../src/hbone/baggage.ts';
import { parseConnectHeaders } from '../../../src/hbone/connect-request.ts';
import { formatConnectTarget, parseConnectTarget } from '../../../src/hbone/connect-target.ts';
import { parseForwardedHost } from '../../../src/hbone/forwarded.ts';
import { parseTraceparent } from '../../../src/hbone/trace-context.ts';
import { proxyHeader } from '../../../src/ztunnel/proxy/proxy-protocol.ts';
import { sameAgain, textTarget } from '../fuzz-target.ts';

export const addressTarget = textTarget({
  name: 'addresses',
  seeds: () => [
    '10.0.0.1',
    'fd00::1',
    '::ffff:10.0.0.1',
    '10.0.0.1:80',
    '[fd00::1]:80',
    '10.0.0.0/8',
    'fd00::/64',
  ],
  words: ['::', ':', '.', '/', '0', 'ffff', '255', '%eth0', '[', ']', ':65536'],
  run: (text) => {
    const [ip, address, cidr] = [parseIp(text), parseSocketAddress(text), Cidr.parse(text)];
    if (ip !== undefined) {
      assert.equal(parseIp(ip), ip);
      assert.equal(ipFromBytes(ipToBytes(ip)), ip);
      return `ip ${ip.includes(':')}`;
    }
    if (address !== undefined) {
      sameAgain(address, formatSocketAddress, (one) => parseSocketAddress(one)!);
      return `address ${address.ip.includes(':')}`;
    }
    return cidr === undefined ? 'none' : 'cidr';
  },
});

export const spiffeTarget = textTarget({
  name: 'spiffe-id',
  seeds: () => ['spiffe://cluster.local/ns/shop/sa/cart', 'spiffe://td/ns/n/sa/..', 'spiffe://td/ns//sa/s'],
  words: ['spiffe://', '/ns/', '/sa/', '/', '..', '%2f', '?', '#', '@'],
  run: (text) => {
    const id = parseSpiffeId(text);
    if (id === undefined) return 'none';
    assert.equal(formatSpiffeId(id), text);
    // Nobody else may read it as another identity.
    const url = new URL(text);
    assert.equal(url.pathname, `/ns/${id.namespace}/sa/${id.serviceAccount}`);
    return 'id';
  },
});

const TARGETS = [
  '10.0.0.1:80',
  '[fd00::1]:80',
  'cart.shop.svc.cluster.local:80',
  '*.example.com:443',
  '1.2.3.999:80',
];

export const headerTarget = textTarget({
  name: 'header-fields',
  // Fields of a CONNECT request, one in each line: authority, baggage, forwarded, traceparent.
  seeds: () => [
    `${TARGETS[0]}\nk8s.cluster.name=K,k8s.namespace.name=shop,k8s.deployment.name=cart,service.name=cart;p=1\nfor="10.0.0.1:1";host=cart.shop\n00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01`,
    ...TARGETS.map((target) => `${target}\n\nhost="a;b",host=c`),
  ],
  words: [
    ',',
    ';',
    '=',
    '"',
    'host=',
    'k8s.pod.name=',
    'k8s..name=',
    'service.version=',
    '__proto__=',
    ':80',
    '*.',
  ],
  run: (text) => {
    const [authority = '', baggage = '', forwarded = '', traceparent = ''] = text.split('\n');
    const target = parseConnectTarget(authority);
    if (target !== undefined) sameAgain(target, formatConnectTarget, (one) => parseConnectTarget(one)!);
    const said = parseBaggage(baggage);
    const sent = formatBaggage(said);
    if (sent !== undefined) assert.equal(formatBaggage(parseBaggage(sent)), sent);
    assert.equal(Object.getPrototypeOf(said), Object.prototype);
    const host = parseForwardedHost(forwarded);
    const trace = parseTraceparent(traceparent);
    const request = parseConnectHeaders([
      [':method', 'CONNECT'],
      [':authority', authority],
      ['baggage', baggage],
      ['forwarded', forwarded],
      ['traceparent', traceparent],
    ]);
    assert.equal(request === undefined, target === undefined);
    return [target?.kind, Object.keys(said).sort(), host !== undefined, trace !== undefined].join(' ');
  },
});

/** Our header of the PROXY protocol, read as its specification says. */
export const proxyProtocolTarget = textTarget({
  name: 'proxy-protocol',
  // Source, destination and identity, one in each line.
  seeds: () => [
    '10.0.0.1:1234\n10.0.0.2:80\nspiffe://cluster.local/ns/shop/sa/cart',
    '[fd00::1]:1\n10.0.0.2:80\n',
  ],
  words: ['[fd00::2]:65535', '255.255.255.255:0', '\n', 'spiffe://'],
  run: (text) => {
    const [from = '', to = '', name = ''] = text.split('\n');
    const [source, destination] = [parseSocketAddress(from), parseSocketAddress(to)];
    if (source === undefined || destination === undefined) return 'none';
    const identity = parseSpiffeId(name) === undefined ? undefined : name;
    const header = proxyHeader({ source, destination, identity });
    const view = new DataView(header.buffer, header.byteOffset);
    assert.equal(header[12], 0x21);
    assert.equal(view.getUint16(14), header.length - 16);
    const size = header[13] === 0x11 ? 4 : 16;
    const [ports, tlv] = [16 + 2 * size, 20 + 2 * size];
    assert.equal(ipFromBytes(header.subarray(16, 16 + size)), source.ip);
    assert.equal(ipFromBytes(header.subarray(16 + size, ports)), destination.ip);
    assert.deepEqual([view.getUint16(ports), view.getUint16(ports + 2)], [source.port, destination.port]);
    if (identity === undefined) assert.equal(header.length, tlv);
    else assert.equal(Buffer.from(header.subarray(tlv + 3)).toString('latin1'), identity);
    return `${size} ${identity !== undefined}`;
  },
});
