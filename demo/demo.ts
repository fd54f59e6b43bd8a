/** `make demo`: a shop of services on two nodes, in plain text first, then in the mesh; every claim is checked as it is made. */

import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { captureWhile } from './capture.ts';
import { exitOf, SandboxCommands, until } from './sandbox-commands.ts';
import { byHand, note, quote, saw, step } from './terminal.ts';

const HERE = import.meta.dirname;
const SHOP = join(HERE, 'shop.yaml');
const REVIEWS = join(HERE, 'reviews.yaml');
const DATABASE_POLICY = join(HERE, 'database-policy.yaml');
const NAME = process.env.NAME ?? 'demo';
const ENROL_TIMEOUT_MS = 20_000;
/** Calls that go on through every step, one each this many milliseconds. */
const SHOPPER_INTERVAL_MS = 100;

interface Pod {
  readonly metadata: {
    readonly name: string;
    readonly annotations?: Record<string, string>;
    readonly labels?: Record<string, string>;
  };
  readonly spec: { readonly nodeName: string };
  readonly status: { readonly phase: string; readonly podIP: string };
}

interface CallReport {
  readonly ok: number;
  readonly failed: number;
  readonly responders: Record<string, number>;
}

const sandbox = new SandboxCommands(NAME);

async function pods(app?: string): Promise<Pod[]> {
  const { items } = await sandbox.json<{ items: Pod[] }>('get', 'pods', '-n', 'shop');
  return items.filter((pod) => app === undefined || pod.metadata.labels?.app === app);
}

async function podOf(app: string): Promise<string> {
  const [pod] = await pods(app);
  if (pod === undefined) throw new Error(`there is no pod of ${app}`);
  return pod.metadata.name;
}

/** Calls a target from the pod of an application and reports who answered. */
async function call(app: string, target: string, count: number): Promise<CallReport> {
  const client = ['ambit', 'echo', 'client', target, '--count', String(count), '--interval', '20', '--json'];
  const result = await sandbox.attempt('exec', await podOf(app), '-n', 'shop', '--', ...client);
  return JSON.parse(result.stdout) as CallReport;
}

function clientCommand(pod: string, target: string): string {
  return `bin/ambit sandbox exec ${pod} -n shop --name ${NAME} -- ambit echo client ${target}`;
}

async function startShop(): Promise<void> {
  step('Two nodes and a shop: frontend, orders, inventory (three of it), shipping and a TCP database');
  await sandbox.show('up', '-f', SHOP, '--nodes', '2', '--detach');
  const running = await pods();
  saw(`${running.length} pods run on 2 nodes, each in a network namespace of its own`);
  byHand(`bin/ambit sandbox get pods -n shop -o wide --name ${NAME}`);
}

async function showPlainText(): Promise<void> {
  step('The shop works, and everybody on the wire can read along');
  const { result, packets } = await captureWhile(sandbox, () => call('frontend', 'http://orders/', 5));
  if (result.failed > 0) throw new Error('the shop does not work in plain text');
  const readable = packets.filter((line) => /GET \/|HTTP\/1\.1/.test(line));
  if (readable.length === 0) throw new Error('the capture between the nodes saw no plain text');
  saw(
    `${result.ok} orders placed; the capture between the nodes holds ${readable.length} lines of readable HTTP:`,
  );
  quote(readable.slice(0, 3));
  byHand(`bin/ambit sandbox node exec node1 --name ${NAME} -- $PWD/bin/ambit packets`);
}

/** A shopper who never stops ordering; whatever fails from here on is counted. */
async function startShopper(): Promise<() => Promise<CallReport>> {
  const frontend = await podOf('frontend');
  const client = ['ambit', 'echo', 'client', 'http://orders/', '--count', '0', '--json'];
  const interval = ['--interval', String(SHOPPER_INTERVAL_MS)];
  const child = sandbox.start('exec', frontend, '-n', 'shop', '--', ...client, ...interval);
  const output = text(child.stdout!);
  return async () => {
    child.kill('SIGTERM');
    await exitOf(child);
    return JSON.parse(await output) as CallReport;
  };
}

async function enrol(): Promise<void> {
  step('One label, and the namespace is in the mesh: no restart, no sidecar');
  await sandbox.run('label', 'namespace', 'shop', 'istio.io/dataplane-mode=ambient');
  const started = Date.now();
  const enrolled = await until('every pod enrolled', ENROL_TIMEOUT_MS, async () => {
    const all = await pods();
    return (
      all.every((pod) => pod.metadata.annotations?.['ambient.istio.io/redirection'] === 'enabled') && all
    );
  });
  saw(
    `${enrolled.length} running pods enrolled ${((Date.now() - started) / 1000).toFixed(1)} s after the label`,
  );
  await until('every proxy to know that the peers take HBONE', ENROL_TIMEOUT_MS, allHbone);
  byHand(`bin/ambit sandbox label namespace shop istio.io/dataplane-mode=ambient --name ${NAME}`);
}

async function allHbone(): Promise<boolean> {
  const rows = await sandbox.ambit(
    'ztunnel-config',
    'workload',
    '--workload-namespace',
    'shop',
    '-o',
    'json',
  );
  return (JSON.parse(rows) as { protocol: string }[]).every((row) => row.protocol === 'HBONE');
}

async function showEncryption(): Promise<void> {
  step('The same calls are now mutual TLS between the two node proxies');
  const { result, packets } = await captureWhile(sandbox, () => call('frontend', 'http://orders/', 20));
  if (result.failed > 0) throw new Error('calls fail in the mesh');
  const readable = packets.filter((line) => /GET \/|HTTP\/1\.1|"pod"/.test(line));
  const tunnelled = packets.filter((line) => /:15008 /.test(line));
  if (readable.length > 0) throw new Error(`plain text on the wire: ${readable[0]}`);
  if (tunnelled.length === 0) throw new Error('nothing went through port 15008');
  saw(`${result.ok} orders placed; ${tunnelled.length} packets to or from port 15008, not one readable line`);
  quote(tunnelled.slice(0, 3));
  byHand(`bin/ambit ztunnel-config certificate --sandbox ${NAME}`);
}

async function showSpreading(): Promise<void> {
  step('Calls to inventory are spread over its three replicas');
  const report = await call('orders', 'http://inventory/', 60);
  const responders = Object.entries(report.responders);
  if (report.failed > 0 || responders.length < 3) throw new Error(`not spread: ${JSON.stringify(report)}`);
  saw(`${report.ok} calls: ${responders.map(([name, count]) => `${name} ${count}`).join(', ')}`);
  byHand(clientCommand(await podOf('orders'), 'http://inventory/ --count 30'));
}

async function showFailover(): Promise<void> {
  step('One of them dies in the middle of it; the calls go on');
  const victim = await podOf('inventory');
  const calls = call('orders', 'http://inventory/', 100);
  await sandbox.run('delete', 'pod', victim, '-n', 'shop');
  const report = await calls;
  saw(`${victim} was deleted; of 100 calls meanwhile ${report.ok} succeeded and ${report.failed} failed`);
  if (report.failed > 1) throw new Error('more calls failed than the one that the dying pod may have held');
  byHand(`bin/ambit sandbox delete pod ${victim} -n shop --name ${NAME}`);
}

async function addService(): Promise<void> {
  step('A new service joins and is found by its name at once');
  await sandbox.run('apply', '-f', REVIEWS);
  const started = Date.now();
  const report = await until('reviews to answer', ENROL_TIMEOUT_MS, async () => {
    const answer = await call('frontend', 'http://reviews/', 1);
    return answer.ok === 1 && answer;
  });
  saw(
    `http://reviews/ answers ${((Date.now() - started) / 1000).toFixed(1)} s after it was applied, by ${Object.keys(report.responders)[0]}`,
  );
  byHand(`bin/ambit sandbox apply -f demo/reviews.yaml --name ${NAME}`);
}

async function protectDatabase(): Promise<void> {
  step('An AuthorizationPolicy keeps everyone but orders from the database');
  const before = await call('frontend', 'tcp://database:5432', 1);
  if (before.ok !== 1) throw new Error('the frontend should reach the database before the policy');
  await sandbox.run('apply', '-f', DATABASE_POLICY);
  await until('the frontend to be refused', ENROL_TIMEOUT_MS, async () => {
    const report = await call('frontend', 'tcp://database:5432', 1);
    return report.failed === 1;
  });
  const orders = await call('orders', 'tcp://database:5432', 5);
  if (orders.failed > 0) throw new Error('orders must still reach the database');
  saw('frontend is refused, orders is served, by the identity in their certificates');
  byHand(clientCommand(await podOf('frontend'), 'tcp://database:5432'));
}

async function showTelemetry(): Promise<void> {
  step('What the proxies themselves have seen');
  const logs = await sandbox.run(
    'node',
    'exec',
    'node2',
    '--',
    'curl',
    '-s',
    'http://127.0.0.1:15020/metrics',
  );
  const lines = logs
    .split('\n')
    .filter((line) => /^istio_tcp_connections_opened_total.*mutual_tls/.test(line));
  if (lines.length === 0) throw new Error('the proxy of node2 counted no mutual TLS');
  saw(`node2 counts connections by who called whom; ${lines.length} series of mutual TLS, such as:`);
  quote(lines.slice(0, 2).map(shortenSeries));
  const log = await sandbox.run('logs', 'ztunnel-node2', '-n', 'ambit-system');
  const denied = log.split('\n').filter((line) => /access.*policy rejection/.test(line));
  const complete = log.split('\n').filter((line) => /access.*connection complete/.test(line));
  if (denied.length === 0 || complete.length === 0) throw new Error('the access log lacks what happened');
  saw('its access log has a line for every connection, and the reason for every refusal:');
  quote([...complete.slice(-1), ...denied.slice(-1)]);
  byHand(`bin/ambit sandbox logs ztunnel-node2 -n ambit-system --name ${NAME}`);
}

/** A series has 23 labels; these are the ones a person asks for first. */
function shortenSeries(line: string): string {
  const label = (name: string) => new RegExp(`${name}="([^"]*)"`).exec(line)?.[1];
  const value = line.slice(line.lastIndexOf(' ') + 1);
  return `${label('source_workload')} → ${label('destination_workload')} as ${label('source_principal')}: ${value}`;
}

async function finish(stopShopper: () => Promise<CallReport>): Promise<void> {
  step('And the shopper who ordered all along');
  const report = await stopShopper();
  saw(`${report.ok} orders placed from before the label until now, ${report.failed} failed`);
  if (report.failed > 0) throw new Error('the shop was interrupted');
}

async function run(): Promise<void> {
  const started = Date.now();
  await startShop();
  await showPlainText();
  const stopShopper = await startShopper();
  await enrol();
  await showEncryption();
  await showSpreading();
  await addService();
  await protectDatabase();
  await showTelemetry();
  await finish(stopShopper);
  await showFailover();
  note(`\nDone in ${Math.round((Date.now() - started) / 1000)} s.`);
}

try {
  await run();
  if (process.env.KEEP === '1')
    note(`The sandbox stays up. End it with: bin/ambit sandbox down --name ${NAME}`);
  else note('Run it with KEEP=1 to keep the shop up and try the commands by hand.');
} finally {
  if (process.env.KEEP !== '1') await sandbox.attempt('down');
}
