/** Runs in a pod: calls a target until it is interrupted, then tells what became of the calls. TARGET INTERVAL-MS LANES TIMEOUT-MS */

import { EchoClient } from '../../../src/sandbox/echo/echo-client.ts';

const [target, interval, lanes, timeout] = process.argv.slice(2);

const client = new EchoClient({
  targets: [new URL(target!)],
  count: Number.POSITIVE_INFINITY,
  intervalMs: Number(interval),
  connections: Number(lanes),
  timeoutMs: Number(timeout),
  keepAlive: false,
  onCall: () => {},
});
process.once('SIGINT', () => client.stop());
// From here on it may be interrupted.
process.stderr.write('calling\n');
process.stdout.write(`${JSON.stringify(await client.run())}\n`);
