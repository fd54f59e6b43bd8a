/** What a pod can do to the proxy of its own node, and to the pods beside it. */

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { runInPod } from '../support/mesh-pods.ts';
import { APP_PORT, type AttackWorld } from './attack-world.ts';
import type { Deadline, Drill } from './drill.ts';
import type { FloodPlan } from './flooder-main.ts';
import { withSysctls } from './pod-sysctls.ts';

const PROGRAM = `${import.meta.dirname}/flooder-main.ts`;
const DNS_PORT = 15053;
const VICTIM = { host: '10.0.0.2', port: APP_PORT };
/**
 * Nobody here has a tunnel to it. One to the victim keeps this process's address, and a direct connection that happens to have the
 * port of one that has gone is taken for that by connection tracking, which keeps it for two minutes: its answers go astray.
 */
const NEIGHBOUR = { host: '10.0.0.3', port: APP_PORT };
/** Where this process listens: a place outside the mesh. */
const OUTSIDE = { host: '10.0.0.9', port: 7000 };
/** A source port that has been used for a place is not free for it again for a minute, and which are used is chance. */
const NOT_CALLED_BEFORE = { ...OUTSIDE, port: 7001 };
/** Source ports that a pod is left with; a captured connection takes two of them. */
const FEW_PORTS = '40000 40063';
/** An odd number of them is left then: the last one goes to a connection for whose other half there is none. */
const NO_PORT = '40000';
/** Descriptors that the node is left with, beyond those it has. */
const FEW_DESCRIPTORS = 40;
const ANSWER_MS = 300;
/** The resolver of a pod, as the pod reaches it. */
export const RESOLVER = { host: '127.0.0.1', port: DNS_PORT };

export async function flooding(world: AttackWorld, deadline: Deadline, plan: FloodPlan): Promise<void> {
  const child = runInPod(world.scene.flooder, PROGRAM, JSON.stringify(plan));
  await once(child.stdout, 'data');
  await delay(deadline.leftMs);
  child.stdin.end();
  await once(child, 'exit');
}

/** Resolves with what the action does, while somebody there throws away what comes. */
async function whileListening<T>({ port }: { readonly port: number }, action: () => Promise<T>): Promise<T> {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => {}).on('close', () => sockets.delete(socket));
    socket.resume();
  }).listen(port);
  await once(server, 'listening');
  try {
    return await action();
  } finally {
    for (const socket of sockets) socket.destroy();
    server.close();
  }
}

async function usingUpPorts(world: AttackWorld, deadline: Deadline): Promise<void> {
  const ports = { ip_local_port_range: FEW_PORTS, ip_local_reserved_ports: NO_PORT };
  await withSysctls(world.scene.flooder, ports, () =>
    whileListening(NOT_CALLED_BEFORE, () =>
      flooding(world, deadline, { kind: 'hold', ...NOT_CALLED_BEFORE, count: 60 }),
    ),
  );
}

function setDescriptorLimit(pid: number, limit: string): void {
  execFileSync('prlimit', ['--pid', String(pid), `--nofile=${limit}:`]);
}

async function usingUpDescriptors(world: AttackWorld, deadline: Deadline): Promise<void> {
  const { pid, descriptors } = world.node;
  const before = execFileSync('prlimit', ['--pid', String(pid), '--nofile', '-o', 'SOFT', '--noheadings']);
  setDescriptorLimit(pid, String(descriptors + FEW_DESCRIPTORS));
  try {
    await whileListening(OUTSIDE, () => flooding(world, deadline, { kind: 'hold', ...OUTSIDE, count: 200 }));
  } finally {
    setDescriptorLimit(pid, String(before).trim());
  }
  const socket = connect(NEIGHBOUR);
  await once(socket, 'connect');
  socket.destroy();
}

/** Queries from outside the pod are not answered, so that nobody's address can be put under them. */
async function askingFromOutside(): Promise<void> {
  const socket = createSocket('udp4');
  let answers = 0;
  socket.on('message', () => answers++).on('error', () => {});
  const query = Buffer.from([0x12, 0x34, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 2, 0x64, 0x62, 0, 0, 255, 0, 1]);
  for (let i = 0; i < 100; i++) socket.send(query, DNS_PORT, '10.0.0.4');
  await delay(ANSWER_MS);
  socket.close();
  assert.equal(answers, 0, 'the DNS proxy of a pod answers somebody outside it');
}

export const POD_DRILLS: readonly Drill[] = [
  {
    name: 'connections-held',
    about: 'a pod that leaks sockets',
    counters: ['ambit_limit_reached_total/connections_per_pod'],
    attack: (world, deadline) =>
      whileListening(OUTSIDE, () => flooding(world, deadline, { kind: 'hold', ...OUTSIDE, count: 2000 })),
  },
  {
    name: 'connection-churn',
    about: 'a new connection for each byte',
    attack: (world, deadline) => flooding(world, deadline, { kind: 'churn', ...VICTIM, count: 64 }),
  },
  {
    name: 'bulk',
    about: 'eight streams as fast as they go',
    attack: (world, deadline) => flooding(world, deadline, { kind: 'bulk', ...VICTIM, count: 8 }),
  },
  {
    name: 'source-ports',
    about: 'no port left to dial from',
    counters: ['ambit_limit_reached_total/source_ports'],
    code: 'AMBIT_SOURCE_PORTS_EXHAUSTED',
    attack: usingUpPorts,
  },
  {
    name: 'descriptors',
    about: 'EMFILE',
    counters: ['ambit_limit_reached_total/descriptors'],
    newConnectionsMayFail: true,
    attack: usingUpDescriptors,
  },
  {
    name: 'dns-flood',
    about: 'queries without end, amplification',
    counters: ['ambit_limit_reached_total/dns_queries_per_pod'],
    attack: async (world, deadline) => {
      await askingFromOutside();
      await flooding(world, deadline, { kind: 'dns', ...RESOLVER, count: 50 });
    },
  },
  {
    name: 'dns-held',
    about: 'sessions of DNS over TCP that ask nothing',
    counters: ['ambit_limit_reached_total/dns_tcp_sessions'],
    attack: (world, deadline) => flooding(world, deadline, { kind: 'hold', ...RESOLVER, count: 200 }),
  },
];
