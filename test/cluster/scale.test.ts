/** The scale benchmark in small: every client learns of every pod; the figures are told and decide nothing. */

import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { setLogLevels } from '../../src/telemetry/log.ts';
import { runScale } from '../bench/scale/run-scale.ts';
import { podCount, QUICK_PLAN } from '../bench/scale/scale-plan.ts';

setLogLevels('error');

test('all clients of a control plane learn of every pod that comes while others go', async (t: TestContext) => {
  const result = await runScale(QUICK_PLAN, (line) => t.diagnostic(line));
  const { p50, p99 } = result.propagationMs;
  t.diagnostic(`known to all clients after ${p50} ms, p99 ${p99} ms`);
  t.diagnostic(`control plane: ${Math.round(result.controlPlanePeakMegabytes)} MB at its peak`);
  assert.equal(result.pods, podCount(QUICK_PLAN));
  assert.equal(result.replaced, QUICK_PLAN.podsPerSecond * QUICK_PLAN.churnSeconds);
  assert.ok(result.bytesPerReplacement > 0);
});
