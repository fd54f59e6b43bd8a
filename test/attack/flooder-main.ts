/** Runs inside a pod that has turned against its own proxy; ends with its standard input. */

import { createSocket } from 'node:dgram';
import { connect, type Socket } from 'node:net';
import { encodeName } from '../../src/ztunnel/dns/dns-message.ts';
import { BULK } from './pacer-main.ts';

/** What to do to whom; `count` is at a time. */
export interface FloodPlan {
  readonly kind: 'churn' | 'hold' | 'bulk' | 'dns';
  readonly host: string;
  readonly port: number;
  readonly count: number;
  /** What `dns` asks for; any name of the mesh, which is answered at once, when left out. */
  readonly name?: string;
}

const MESH_NAME = 'db.shop.svc.cluster.local';
const DNS_HEADER = [0x12, 0x34, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
const QUESTION_TAIL = [0, 1, 0, 1];
/** Of those that were closed, one is opened anew after so long. */
const REOPEN_MS = 50;

function open({ host, port }: FloodPlan, onOpen: (socket: Socket) => void, onClose: () => void): void {
  const socket = connect({ host, port });
  socket.on('error', () => {}).on('close', onClose);
  socket.on('connect', () => onOpen(socket)).resume();
}

/** Connects, says something, leaves when it has an answer, and begins again. */
function churn(plan: FloodPlan): void {
  open(
    plan,
    (socket) => {
      socket.write('x');
      socket.once('data', () => socket.destroy());
    },
    () => setImmediate(churn, plan),
  );
}

function hold(plan: FloodPlan): void {
  open(
    plan,
    () => {},
    () => setTimeout(hold, REOPEN_MS, plan),
  );
}

function bulk(plan: FloodPlan): void {
  open(
    plan,
    (socket) => socket.write(BULK),
    () => setTimeout(bulk, REOPEN_MS, plan),
  );
}

/** Queries by UDP as fast as they can be sent, `count` at a time; answers are not waited for. */
function askForever({ host, port, count, name = MESH_NAME }: FloodPlan): void {
  const query = Uint8Array.from([...DNS_HEADER, ...encodeName(name), ...QUESTION_TAIL]);
  const socket = createSocket('udp4');
  socket.on('error', () => {});
  const askSome = () => {
    for (let i = 1; i < count; i++) socket.send(query, port, host);
    socket.send(query, port, host, () => setImmediate(askSome));
  };
  askSome();
}

const plan = JSON.parse(process.argv[2]!) as FloodPlan;
process.stdin.on('end', () => process.exit(0)).resume();
if (plan.kind === 'dns') askForever(plan);
else {
  const begin = { churn, hold, bulk }[plan.kind];
  for (let i = 0; i < plan.count; i++) begin(plan);
}
process.stdout.write('ready\n');
