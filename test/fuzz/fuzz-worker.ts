/** A thread that fuzzes one target until its time is over, and shows what it is at to the thread that watches it. */

import { parentPort, workerData } from 'node:worker_threads';
import { setLogLevels } from '../../src/telemetry/log.ts';
import { committedInputs, foundInputs } from './corpus.ts';
import type { FuzzOrder, FuzzReport } from './fuzz-messages.ts';
import { Fuzzer } from './fuzzer.ts';
import { TARGETS } from './targets.ts';

const REPORT_MS = 1000;

setLogLevels('off');

const order = workerData as FuzzOrder;
const counters = new Int32Array(order.shared, 0, 2);
const current = new Uint8Array(order.shared, counters.byteLength);
const target = TARGETS.find((one) => one.name === order.target)!;
const fuzzer = new Fuzzer(target, order.seed);

function feed(input: Uint8Array): void {
  current.set(input.subarray(0, current.length));
  counters[1] = Math.min(input.length, current.length);
  Atomics.add(counters, 0, 1);
  fuzzer.feed(input);
}

function report(isLast: boolean): void {
  const { runs, answers, findings, corpus } = fuzzer;
  const line: FuzzReport = { runs, answers, findings, corpus: isLast ? corpus : [], isLast };
  parentPort!.postMessage(line);
}

for (const input of [...committedInputs(target), ...foundInputs(target)]) feed(input);
const end = performance.now() + order.milliseconds;
let reportAt = performance.now() + REPORT_MS;
for (let now = performance.now(); now < end && !fuzzer.isDone; now = performance.now()) {
  feed(fuzzer.next());
  if (now < reportAt) continue;
  reportAt = now + REPORT_MS;
  report(false);
}
report(true);
