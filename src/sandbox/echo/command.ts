/** `ambit echo`: the built-in server and client that stand for applications in a sandbox. */

import { flushCompileCache } from 'node:module';
import { hostname } from 'node:os';
import { parseArgs } from 'node:util';
import { AmbitError, messageOf } from '../../base/errors.ts';
import { sandboxErrors } from '../errors.ts';

const HELP = `Usage: ambit echo server [--http PORT]... [--tcp PORT]... [--udp PORT]... [--name NAME] [--greeting]
                         [--call TARGET]...
       ambit echo client TARGET... [--count N] [--interval MS] [--connections N] [--timeout MS] [--keep-alive]
                                   [--json] [--quiet]

The server answers HTTP with JSON that names it and what it saw of the request (?delay=MS waits, ?size=BYTES sends
that many bytes, ?status=CODE answers so), and sends TCP and UDP back as they came. Without ports: 8080, 9000, 9001.
A target is http://…, tcp://HOST:PORT or udp://HOST:PORT. --count 0 goes on until interrupted.
The client exits with 1 when any call failed.
`;

const DEFAULT_PORTS = { http: [8080], tcp: [9000], udp: [9001] } as const;

/** @param argv what follows `ambit echo` */
export async function runEcho(argv: readonly string[]): Promise<void> {
  // Flags alone are the server's: so its container needs nothing but them.
  const [command, ...rest] = argv[0]?.startsWith('--') && argv[0] !== '--help' ? ['server', ...argv] : argv;
  try {
    if (command === 'server') await runServer(rest);
    else if (command === 'client') process.exitCode = await runClient(rest);
    else if (command === '--help' || command === '-h') process.stdout.write(HELP);
    else throw usage(command === undefined ? 'server or client?' : `there is no ambit echo ${command}`);
  } catch (thrown) {
    if (!(thrown instanceof AmbitError)) throw thrown;
    process.stderr.write(`ambit echo: ${thrown.message}\n${HELP}`);
    process.exitCode = 2;
  }
}

async function runServer(argv: readonly string[]): Promise<void> {
  const { values } = parse(() =>
    parseArgs({
      args: [...argv],
      options: {
        http: { type: 'string', multiple: true },
        tcp: { type: 'string', multiple: true },
        udp: { type: 'string', multiple: true },
        name: { type: 'string' },
        greeting: { type: 'boolean' },
        call: { type: 'string', multiple: true },
      },
    }),
  );
  const { http = [], tcp = [], udp = [] } = values;
  const asked = [http, tcp, udp].some((ports) => ports.length > 0);
  const ports = { http: http.map(portOf), tcp: tcp.map(portOf), udp: udp.map(portOf) };
  const { EchoServer } = await import('./echo-server.ts');
  const server = new EchoServer({
    ...(asked ? ports : DEFAULT_PORTS),
    name: values.name ?? process.env.POD_NAME ?? hostname(),
    node: process.env.NODE_NAME ?? '',
    namespace: process.env.POD_NAMESPACE ?? '',
    greeting: values.greeting ?? false,
    calls: (values.call ?? []).map(targetOf),
  });
  await server.start();
  flushCompileCache();
  await untilSignal();
  server.stop();
}

async function runClient(argv: readonly string[]): Promise<number> {
  const { values, positionals } = parse(() =>
    parseArgs({
      args: [...argv],
      allowPositionals: true,
      options: {
        count: { type: 'string', default: '1' },
        interval: { type: 'string', default: '0' },
        connections: { type: 'string', default: '1' },
        timeout: { type: 'string', default: '5000' },
        'keep-alive': { type: 'boolean', default: false },
        json: { type: 'boolean', default: false },
        quiet: { type: 'boolean', default: false },
      },
    }),
  );
  if (positionals.length === 0) throw usage('the client needs a target');
  const { EchoClient } = await import('./echo-client.ts');
  const client = new EchoClient({
    targets: positionals.map(targetOf),
    count: wholeNumber('count', values.count) || Number.POSITIVE_INFINITY,
    intervalMs: wholeNumber('interval', values.interval),
    connections: Math.max(1, wholeNumber('connections', values.connections)),
    timeoutMs: wholeNumber('timeout', values.timeout),
    keepAlive: values['keep-alive'],
    onCall: values.json || values.quiet ? () => {} : (line) => process.stdout.write(`${line}\n`),
  });
  void untilSignal().then(() => client.stop());
  const statistics = await client.run();
  process.stdout.write(values.json ? `${JSON.stringify(statistics.toJSON())}\n` : statistics.toText());
  return statistics.failed === 0 ? 0 : 1;
}

function untilSignal(): Promise<void> {
  return new Promise((resolve) => {
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => resolve());
  });
}

function parse<T>(read: () => T): T {
  try {
    return read();
  } catch (thrown) {
    throw usage(messageOf(thrown));
  }
}

function targetOf(text: string): URL {
  const url = URL.parse(text.includes('://') ? text : `http://${text}`);
  const known = url !== null && ['http:', 'tcp:', 'udp:'].includes(url.protocol);
  if (!known || url.hostname === '') throw usage(`${text} is not a target`);
  if (url.protocol !== 'http:' && url.port === '') throw usage(`${text} names no port`);
  return url;
}

function portOf(text: string): number {
  const port = wholeNumber('port', text);
  if (port < 1 || port > 65535) throw usage(`${text} is not a port`);
  return port;
}

function wholeNumber(name: string, text: string): number {
  if (!/^\d{1,9}$/.test(text)) throw usage(`--${name} ${text} is not a whole number`);
  return Number(text);
}

function usage(message: string): AmbitError {
  return sandboxErrors.AMBIT_SANDBOX_USAGE(message);
}
