import assert from 'node:assert/strict';
import { afterEach, test } from 'node:test';
import {
  flushLog,
  formatLine,
  logger,
  logLevels,
  resetLogLevels,
  SharedFields,
  setLogFormat,
  setLogLevels,
  setLogSink,
} from '../../../src/telemetry/log.ts';

const TIME = '2026-01-02T03:04:05.678Z';

afterEach(resetLogLevels);

function collect(write: () => void): string {
  let text = '';
  flushLog();
  setLogSink((part) => {
    text += part;
  });
  write();
  flushLog();
  return text;
}

test('a plain line has time, level, scope, message and fields', () => {
  const line = formatLine('plain', TIME, 'info', 'access', 'connection complete', {
    'src.addr': '10.0.0.1:5',
    n: 3,
  });
  assert.equal(line, `${TIME}\tinfo\taccess\tconnection complete\tsrc.addr=10.0.0.1:5 n=3\n`);
});

test('a JSON line holds the same and leaves out what is undefined', () => {
  const line = formatLine('json', TIME, 'warn', 'xds', 'gone', { a: 'b', c: undefined });
  assert.deepEqual(JSON.parse(line), { level: 'warn', time: TIME, scope: 'xds', message: 'gone', a: 'b' });
});

test('a peer cannot forge a second line or a field', () => {
  const line = formatLine('plain', TIME, 'info', 'access', 'a\nb', { name: 'x\n2026 info forged evil=1' });
  assert.equal(line.split('\n').length, 2);
  assert.match(line, /name="x\\n2026 info forged evil=1"/);
});

test('levels are set for all scopes or for one, and take effect on loggers that exist', () => {
  const access = logger('access');
  assert.equal(access.enabled('debug'), false);
  assert.equal(setLogLevels('warn,access=debug'), undefined);
  assert.equal(access.enabled('debug'), true);
  assert.equal(logger('xds').enabled('info'), false);
  assert.equal(logLevels(), 'warn,access=debug');
});

test('a specification that is not understood changes nothing and is named', () => {
  assert.equal(setLogLevels('debug,access=loud'), 'access=loud');
  assert.equal(logger('access').enabled('debug'), false);
});

test('lines below the level are not written, and the others come in order', () => {
  const text = collect(() => {
    logger('t').debug('hidden');
    logger('t').info('one');
    logger('t').error('two');
  });
  assert.deepEqual(
    text.split('\n').map((line) => line.split('\t')[3]),
    ['one', 'two', undefined],
  );
});

test('a line may consist of parts, some of which many lines have in common, in either format', () => {
  const shared = new SharedFields({ who: 'a b', nobody: undefined });
  const write = () => collect(() => logger('t').logParts('info', 'm', [{ n: 1 }, shared, {}, { z: 'end' }]));
  try {
    for (let i = 0; i < 2; i++) {
      setLogFormat('plain');
      assert.match(write(), /\tinfo\tt\tm\tn=1 who="a b" z=end\n$/);
      setLogFormat('json');
      const { time, ...rest } = JSON.parse(write());
      assert.deepEqual(rest, { level: 'info', scope: 't', message: 'm', n: 1, who: 'a b', z: 'end' });
      assert.equal(new Date(time).toISOString(), time);
    }
  } finally {
    setLogFormat('plain');
  }
});
