import assert from 'node:assert/strict';
import { test } from 'node:test';
import { AmbitError } from '../../../src/base/errors.ts';
import { parseDurationMs, readConfig } from '../../../src/ztunnel/config.ts';

test('an empty environment gives the defaults of the field', () => {
  const config = readConfig({});
  assert.deepEqual(config.xdsAddress, { host: 'localhost', port: 15012 });
  assert.deepEqual(config.xdsRoot, { kind: 'file', path: './var/run/secrets/istio/root-cert.pem' });
  assert.equal(config.packetMark, 0x539);
  assert.equal(config.drainDeadlineMs, 5000);
  assert.equal(config.secretTtlSeconds, 86_400);
});

test('inside a cluster the control plane is found by its service name', () => {
  const config = readConfig({ KUBERNETES_SERVICE_HOST: '10.96.0.1' });
  assert.deepEqual(config.caAddress, { host: 'istiod.istio-system.svc', port: 15012 });
});

test('the CA is asked where xDS is served unless it has an address of its own', () => {
  const config = readConfig({ XDS_ADDRESS: 'https://10.0.0.2:15012' });
  assert.deepEqual(config.caAddress, { host: '10.0.0.2', port: 15012 });
  assert.deepEqual(readConfig({ XDS_ADDRESS: '[fd00::2]:1' }).xdsAddress, { host: 'fd00::2', port: 1 });
});

test('the drain ends before the grace period does', () => {
  assert.equal(readConfig({ TERMINATION_GRACE_PERIOD_SECONDS: '30' }).drainDeadlineMs, 25_000);
  assert.equal(readConfig({ TERMINATION_GRACE_PERIOD_SECONDS: '10' }).drainDeadlineMs, 9000);
  assert.equal(readConfig({ TERMINATION_GRACE_PERIOD_SECONDS: '1' }).drainDeadlineMs, 1000);
  assert.equal(readConfig({ CONNECTION_TERMINATION_DEADLINE: '1m30s' }).drainDeadlineMs, 90_000);
});

test('one start shows every variable that cannot be understood', () => {
  assert.throws(
    () =>
      readConfig({ ENABLE_ORIG_SRC: 'maybe', ADMIN_PORT: '70000', SECRET_TTL: 'soon', LOG_FORMAT: 'xml' }),
    (error: AmbitError) => {
      assert.equal(error.code, 'AMBIT_ZTUNNEL_CONFIG_INVALID');
      for (const name of ['ENABLE_ORIG_SRC', 'ADMIN_PORT', 'SECRET_TTL', 'LOG_FORMAT']) {
        assert.match(error.message, new RegExp(name));
      }
      return error instanceof AmbitError;
    },
  );
});

test('metadata comes from variables as text and as JSON', () => {
  const config = readConfig({ ISTIO_META_OWNER: 'a', ISTIO_METAJSON_LABELS: '{"b":1}', XDS_HEADER_x: 'y' });
  assert.deepEqual(config.metadata, { OWNER: 'a', LABELS: { b: 1 } });
  assert.deepEqual(config.xdsHeaders, { x: 'y' });
});

test('durations are understood with units, and bare numbers are seconds', () => {
  const cases: [string, number | undefined][] = [
    ['500ms', 500],
    ['90', 90_000],
    ['1h30m', 5_400_000],
    ['1d', 86_400_000],
    ['', undefined],
    ['soon', undefined],
    ['-1s', undefined],
  ];
  for (const [text, expected] of cases) assert.equal(parseDurationMs(text), expected, text);
});

test('what is experimental or weaker is off unless it is asked for', () => {
  const plain = readConfig({});
  assert.deepEqual([plain.socks5, plain.tls12, plain.userTimeoutMs], [false, false, undefined]);
  const { socks5, tls12, userTimeoutMs } = readConfig({
    UNSTABLE_ENABLE_SOCKS5: 'true',
    TLS12_ENABLED: 'true',
    USER_TIMEOUT_ENABLED: 'true',
    KEEPALIVE_TIME: '10s',
    KEEPALIVE_INTERVAL: '5s',
    KEEPALIVE_RETRIES: '3',
  });
  assert.deepEqual([socks5, tls12, userTimeoutMs], [true, true, 25_000]);
});
