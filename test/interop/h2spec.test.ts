/** Our HTTP/2 server under h2spec, strict cases included. */

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { Http2Connection } from '../../src/http/http2-connection.ts';
import { Http2Counters } from '../../src/http/http2-counters.ts';
import { defaultHttp2Settings } from '../../src/http/http2-settings.ts';
import type { Http2Stream, Http2StreamHandler } from '../../src/http/http2-stream.ts';
import { PlainStream } from '../../src/io/plain-stream.ts';
import { TcpListener } from '../../src/io/tcp-listener.ts';
import { nobody, StreamWriter } from '../support/http2-echo.ts';
import { interopPeer } from '../support/interop-peers.ts';
import { address, testReactor } from '../support/reactor-harness.ts';

const H2SPEC = interopPeer('h2spec');
const reactor = testReactor();
/** h2spec sends five fields of this length in one frame; together they are larger than the largest frame we take. */
const LONG_FIELD = Math.ceil(defaultHttp2Settings.maxFrameSize / 5) + 1;

/** h2spec tests RFC 7540, whose priorities RFC 9113 §5.3 has taken away: what they say is not looked at. */
const PRIORITIES = [
  'http2/5.3.1: Sends HEADERS frame that depend on itself',
  'http2/5.3.1: Sends PRIORITY frame that depend on itself',
];
/** Cases that need a server which has not answered yet, since ours is done before the last frame of the case is there. */
const WHILE_WAITING: Readonly<Record<string, string>> = {
  'http2/5.1.2/1':
    'http2/5.1.2: Sends HEADERS frames that causes their advertised concurrent stream limit to be exceeded',
  'http2/6.3/2': 'http2/6.3: Sends a PRIORITY frame with a length other than 5 octets',
};
/** A case that takes our largest frame to be the smallest that one may have. */
const LARGE_FRAME: Readonly<Record<string, string>> = {
  'http2/4.2/3': 'http2/4.2: Sends a large size HEADERS frame that exceeds the SETTINGS_MAX_FRAME_SIZE',
};

/** Answers with a short body when the request has ended, or never. */
class Answer implements Http2StreamHandler {
  readonly #stream: Http2Stream;
  readonly #writer: StreamWriter;
  readonly #answers: boolean;

  constructor(stream: Http2Stream, answers: boolean) {
    this.#stream = stream;
    this.#writer = new StreamWriter(stream);
    this.#answers = answers;
  }

  onHeaders(): void {}

  onData(_buffer: unknown, _offset: number, length: number): void {
    this.#stream.consumed(length);
  }

  onEnd(): void {
    if (!this.#answers) return;
    this.#stream.sendHeaders([[':status', '200']], false);
    this.#writer.write(Buffer.from('an answer'));
    this.#writer.end();
  }

  onReset(): void {}

  onWritable(): void {
    this.#writer.flush();
  }
}

function listen(answers: boolean): TcpListener {
  return TcpListener.listen(reactor, address('127.0.0.1:0'), {}, (socket) => {
    new Http2Connection(new PlainStream(socket, nobody), {
      role: 'server',
      settings: defaultHttp2Settings,
      counters: new Http2Counters(),
      events: { onReady() {}, onRequest: (stream) => new Answer(stream, answers), onClosed() {} },
    });
  });
}

interface Report {
  readonly passed: number;
  /** `section: title` of each. */
  readonly failed: readonly string[];
  readonly skipped: readonly string[];
}

/** Runs these cases, or all. */
async function h2spec(server: TcpListener, ...args: readonly string[]): Promise<Report> {
  const folder = mkdtempSync(join(tmpdir(), 'h2spec-'));
  const report = join(folder, 'report.xml');
  const words = ['--strict', '--port', String(server.localAddress.port), '--junit-report', report, ...args];
  // It fails when a case does; which ones is in the report.
  await new Promise((resolve) => execFile(H2SPEC, words, resolve));
  const xml = readFileSync(report, 'utf8');
  rmSync(folder, { recursive: true });
  const cases = [
    ...xml.matchAll(/<testcase package="(.*?)" classname="(.*?)" time="[^"]*">(.*?)<\/testcase>/gs),
  ];
  const named = (pattern: RegExp) =>
    cases.filter(([, , , body]) => pattern.test(body!)).map(([, section, title]) => `${section}: ${title}`);
  const [failed, skipped] = [named(/<(error|failure)/), named(/<skipped/)];
  return { passed: cases.length - failed.length - skipped.length, failed, skipped };
}

test('every case that applies to a server which has answered at once is passed', async () => {
  const { passed, failed, skipped } = await h2spec(listen(true));
  const others = new Set([...PRIORITIES, ...Object.values(WHILE_WAITING), ...Object.values(LARGE_FRAME)]);
  assert.deepEqual(
    failed.filter((one) => !others.has(one)),
    [],
  );
  assert.deepEqual(skipped, []);
  assert.ok(passed > 140, `${passed} cases`);
});

test('so are those that apply to one which has not answered yet', async () => {
  const report = await h2spec(listen(false), ...Object.keys(WHILE_WAITING));
  assert.deepEqual(report, { passed: Object.keys(WHILE_WAITING).length, failed: [], skipped: [] });
});

test('a frame that is larger than we take is refused', async () => {
  const report = await h2spec(
    listen(true),
    '--max-header-length',
    String(LONG_FIELD),
    ...Object.keys(LARGE_FRAME),
  );
  assert.deepEqual(report, { passed: 1, failed: [], skipped: [] });
});
