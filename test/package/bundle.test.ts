/** The bundle: what is loaded on demand is there when it is demanded, and a process loads no more than it needs. */

import assert from 'node:assert/strict';
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { generateKeyPairSync } from 'node:crypto';
import { once } from 'node:events';
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { buildBundle, ROOT } from '../../scripts/packaging/bundle.ts';
import { eventuallyAnswers } from '../support/eventually.ts';

/** Beside dist/: the bundle finds the manifests next to the folder that it lies in. */
const FOLDER = join(ROOT, 'build', `bundle-${process.pid}`);
const BUNDLE = join(ROOT, `dist-${process.pid}`);
const NODE = [process.execPath, '--disable-warning=ExperimentalWarning'];
const DEADLINE_MS = 60_000;
/** Marks that esbuild leaves at the head of each file that it has put into a chunk. */
const SOURCE_MARK = /^(?: {2})?\/\/ (\S+\.(?:[cm]?js|ts))$/gm;

describe('bundle', () => {
  before(async () => {
    mkdirSync(FOLDER, { recursive: true });
    await buildBundle(BUNDLE);
  });
  after(() => {
    for (const folder of [FOLDER, BUNDLE]) rmSync(folder, { recursive: true, force: true });
  });

  /** Everything that a file has loaded before its first line runs, as paths of sources. */
  function sourcesOf(name: string, seen = new Set<string>()): Set<string> {
    const text = readFileSync(join(BUNDLE, name), 'utf8');
    const sources = new Set([...text.matchAll(SOURCE_MARK)].map((match) => match[1]!));
    seen.add(name);
    for (const [, chunk] of text.matchAll(/^(?:import|\} from) ?(?:[^'"\n]* from )?"\.\/([^"]+)";$/gm)) {
      if (!seen.has(chunk!)) for (const source of sourcesOf(chunk!, seen)) sources.add(source);
    }
    return sources;
  }

  test('threads and processes that the program starts have a file of their own', () => {
    for (const name of ['main', 'ztunnel-proxy-reactor-thread', 'cni-plugin-main', 'sandbox-daemon-main']) {
      assert.ok(existsSync(join(BUNDLE, `${name}.js`)), name);
    }
  });

  test('a reactor thread and the CNI plugin load no package that they do not need', () => {
    const reactor = [...sourcesOf('ztunnel-proxy-reactor-thread.js')];
    assert.ok(reactor.some((path) => path.startsWith('src/io/')));
    const unwanted = /node_modules\/(?:@kubernetes|undici|commander|prom-client|yaml)\//;
    assert.deepEqual(
      reactor.filter((path) => unwanted.test(path)),
      [],
    );
    const plugin = [...sourcesOf('cni-plugin-main.js')];
    assert.ok(plugin.some((path) => path.startsWith('src/cni/plugin/')));
    assert.deepEqual(
      plugin.filter((path) => path.startsWith('node_modules/')),
      [],
    );
  });

  test('the program says its version, and prints YAML', () => {
    const run = (...args: string[]) =>
      execFileSync(NODE[0]!, [NODE[1]!, join(BUNDLE, 'main.js'), ...args], { encoding: 'utf8' });
    assert.match(run('--version'), /^\d+\.\d+\.\d+/);
    assert.match(run('install', '--dry-run'), /kind: DaemonSet\n/);
  });

  test('a control plane out of the bundle is ready, and shows its metrics', async (t) => {
    const child = startControlPlane();
    t.after(() => child.kill('SIGKILL'));
    const port = await httpPort(child);
    const answer = async (path: string) => {
      const response = await fetch(`http://127.0.0.1:${port}${path}`);
      return response.ok ? response.text() : undefined;
    };
    await eventuallyAnswers('the control plane is ready', () => answer('/readyz'), DEADLINE_MS);
    assert.match((await answer('/metrics')) ?? '', /^# HELP /m);
    child.kill('SIGTERM');
    const [code] = await once(child, 'exit');
    assert.equal(code, 0);
  });

  function startControlPlane(): ChildProcess {
    const key = join(FOLDER, 'token-key.pem');
    const { publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    writeFileSync(key, publicKey.export({ type: 'spki', format: 'pem' }));
    const flags = { objects: FOLDER, 'ca-dir': FOLDER, 'token-key': key, listen: '127.0.0.1:0' };
    const args = Object.entries(flags).flatMap(([name, value]) => [`--${name}`, value]);
    return spawn(
      NODE[0]!,
      [NODE[1]!, join(BUNDLE, 'main.js'), 'controlplane', ...args, '--http', '127.0.0.1:0'],
      {
        stdio: ['ignore', 'pipe', 'inherit'],
        env: { ...process.env, LOG_FORMAT: 'json' },
      },
    );
  }

  /** From its log: it takes any free one. */
  async function httpPort(child: ChildProcess): Promise<string> {
    let log = '';
    child.stdout!.setEncoding('utf8').on('data', (text: string) => {
      log += text;
    });
    return eventuallyAnswers(
      'the control plane tells its port',
      async () => /"http":(\d+)/.exec(log)?.[1],
      DEADLINE_MS,
    );
  }
});
