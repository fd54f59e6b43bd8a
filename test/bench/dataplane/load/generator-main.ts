/** Runs in the pod that calls: takes orders as lines of JSON, one at a time, and tells what came out. */

import { writeSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { messageOf } from '../../../../src/base/errors.ts';
import { LoadOrders } from './load-orders.ts';
import type { LoadOrder, LoadReport } from './load-protocol.ts';

/** At once: the loop of an order does not let Node's own turn. */
function report(line: LoadReport): void {
  writeSync(1, `${JSON.stringify(line)}\n`);
}

const orders = new LoadOrders();
createInterface(process.stdin).on('line', (line) => {
  try {
    report(orders.run(JSON.parse(line) as LoadOrder));
  } catch (thrown) {
    report({ kind: 'failed', message: messageOf(thrown) });
  }
});
report({ kind: 'ready' });
