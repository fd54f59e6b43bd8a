import assert from 'node:assert/strict';
import { afterEach, test } from 'node:test';
import {
  flushLog,
  resetLogLevels,
  setLogFormat,
  setLogLevels,
  setLogSink,
} from '../../../src/telemetry/log.ts';
import { errors } from '../../../src/ztunnel/errors.ts';
import { logCompleted, logFailed, logOpened } from '../../../src/ztunnel/telemetry/access-log.ts';
import { address } from '../../support/reactor-harness.ts';
import { addresses, parties } from './connections.ts';

let text = '';
setLogSink((part) => {
  text += part;
});
afterEach(() => {
  setLogFormat('plain');
  resetLogLevels();
});

/** The lines that an action writes. */
function linesOf(action: () => void): string[] {
  flushLog();
  text = '';
  action();
  flushLog();
  return text.split('\n').slice(0, -1);
}

/** Level, scope, message and fields of the one line that an action writes. */
function plainLine(action: () => void): { head: string[]; fields: string } {
  const lines = linesOf(action);
  assert.equal(lines.length, 1);
  const [, level, scope, message, fields] = lines[0]!.split('\t');
  return { head: [level!, scope!, message!], fields: fields! };
}

/** The names of fields, in their order. */
function namesIn(fields: string): string[] {
  return [...fields.matchAll(/(?:^| )([\w.]+)=(?:"(?:[^"\\]|\\.)*"|[^" ]\S*)/g)].map((match) => match[1]!);
}

const OUTCOME = { bytesReceived: 120, bytesSent: 4096, durationMs: 12.4, error: undefined };
/** Of istio's ztunnel, in its order. */
const DESCRIBING = [
  'src.addr',
  'src.workload',
  'src.namespace',
  'src.identity',
  'src.cluster',
  'dst.addr',
  'dst.hbone_addr',
  'dst.service',
  'dst.workload',
  'dst.namespace',
  'dst.identity',
  'dst.cluster',
  'direction',
];
const complete = () => logCompleted(parties(), addresses(), OUTCOME);
const denied = errors.AMBIT_POLICY_DENIED('explicitly denied by: shop/no "web"');

test('a connection that ended well is one line at level info, with every field in its order', () => {
  const { head, fields } = plainLine(complete);
  assert.deepEqual(head, ['info', 'access', 'connection complete']);
  assert.equal(
    fields,
    'src.addr=10.244.1.2:4001 src.workload=web-0 src.namespace=shop ' +
      'src.identity=spiffe://cluster.local/ns/shop/sa/web src.cluster=Kubernetes ' +
      'dst.addr=10.244.2.3:15008 dst.hbone_addr=10.244.2.3:8080 dst.service=orders.data.svc.cluster.local ' +
      'dst.workload=orders-0 dst.namespace=data dst.identity=spiffe://cluster.local/ns/data/sa/orders ' +
      'dst.cluster=east direction=outbound bytes_sent=120 bytes_recv=4096 duration=12ms',
  );
  assert.deepEqual(namesIn(fields), [...DESCRIBING, 'bytes_sent', 'bytes_recv', 'duration']);
});

test('JSON has the same fields in the same order', () => {
  setLogFormat('json');
  const line = JSON.parse(linesOf(complete)[0]!) as Record<string, unknown>;
  const { level, time, scope, message, ...fields } = line;
  assert.deepEqual([level, scope, message], ['info', 'access', 'connection complete']);
  assert.ok(!Number.isNaN(Date.parse(String(time))));
  assert.deepEqual(Object.keys(fields), [...DESCRIBING, 'bytes_sent', 'bytes_recv', 'duration']);
  assert.deepEqual([fields.bytes_sent, fields.bytes_recv, fields.duration], [120, 4096, '12ms']);
  assert.equal(fields['dst.addr'], '10.244.2.3:15008');
});

test('a connection that ended by an error is a line at level error, with the error and its code at the end', () => {
  const { head, fields } = plainLine(() =>
    logCompleted(parties(), addresses(), { ...OUTCOME, error: denied }),
  );
  assert.deepEqual(head, ['error', 'access', 'connection complete']);
  assert.deepEqual(namesIn(fields).slice(DESCRIBING.length), [
    'bytes_sent',
    'bytes_recv',
    'duration',
    'error',
    'code',
  ]);
  assert.match(fields, / error="explicitly denied by: shop\/no \\"web\\"" code=AMBIT_POLICY_DENIED$/);
});

test('a connection that never came about is a warning without bytes or duration', () => {
  const { head, fields } = plainLine(() => logFailed(parties(), addresses(), denied));
  assert.deepEqual(head, ['warn', 'access', 'connection failed']);
  assert.deepEqual(namesIn(fields), [...DESCRIBING, 'error', 'code']);
});

test('the server’s proxy sends what the client’s proxy receives', () => {
  const { fields } = plainLine(() =>
    logCompleted(parties({ reporter: 'destination' }), addresses(), OUTCOME),
  );
  assert.match(fields, / direction=inbound bytes_sent=4096 bytes_recv=120 /);
});

test('identities are there exactly when the connection was mutual TLS, and what is unknown is left out', () => {
  const plain = parties({
    sourceIdentity: undefined,
    destinationIdentity: undefined,
    destination: undefined,
    service: undefined,
  });
  const { fields } = plainLine(() => logCompleted(plain, addresses({ hboneTarget: undefined }), OUTCOME));
  assert.deepEqual(namesIn(fields), [
    'src.addr',
    'src.workload',
    'src.namespace',
    'src.cluster',
    'dst.addr',
    'direction',
    'bytes_sent',
    'bytes_recv',
    'duration',
  ]);
});

test('a source that is known by its certificate alone has its namespace from there', () => {
  const { fields } = plainLine(() => logCompleted(parties({ source: undefined }), addresses(), OUTCOME));
  assert.deepEqual(namesIn(fields).slice(0, 3), ['src.addr', 'src.namespace', 'src.identity']);
  assert.match(fields, / src\.namespace=shop /);
});

test('IPv6 addresses are written in brackets', () => {
  const v6 = addresses({ source: address('[fd00::1]:4001') });
  assert.match(plainLine(() => logCompleted(parties(), v6, OUTCOME)).fields, /^src\.addr=\[fd00::1\]:4001 /);
});

test('the opening of a connection is told at level debug only', () => {
  const opened = () => logOpened(parties(), addresses());
  assert.deepEqual(linesOf(opened), []);
  setLogLevels('access=debug');
  const { head, fields } = plainLine(opened);
  assert.deepEqual(head, ['debug', 'access', 'connection opened']);
  assert.deepEqual(namesIn(fields), DESCRIBING);
});

test('the level of the access log decides what is written', () => {
  setLogLevels('access=error');
  assert.deepEqual(linesOf(complete), []);
  assert.deepEqual(
    linesOf(() => logFailed(parties(), addresses(), denied)),
    [],
  );
  assert.equal(linesOf(() => logCompleted(parties(), addresses(), { ...OUTCOME, error: denied })).length, 1);
});
