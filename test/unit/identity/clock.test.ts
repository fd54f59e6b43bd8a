/** The real clock's timers over spans that the system's timers cannot do. */

import assert from 'node:assert/strict';
import { mock, test } from 'node:test';
import { systemClock } from '../../../src/identity/clock.ts';

const DAY_MS = 24 * 3_600_000;

test('a timer of 45 days fires after 45 days, not at once', () => {
  mock.timers.enable({ apis: ['setTimeout', 'Date'], now: Date.UTC(2026, 0, 1) });
  try {
    let fired = 0;
    systemClock.setTimer(45 * DAY_MS, () => fired++);
    mock.timers.tick(45 * DAY_MS - 1);
    assert.equal(fired, 0);
    mock.timers.tick(1);
    assert.equal(fired, 1);
    mock.timers.tick(DAY_MS);
    assert.equal(fired, 1);
  } finally {
    mock.timers.reset();
  }
});

test('a timer notices within a minute that the wall clock was set forward, and a cancelled one stays silent', () => {
  mock.timers.enable({ apis: ['setTimeout', 'Date'], now: Date.UTC(2026, 0, 1) });
  try {
    let fired = 0;
    systemClock.setTimer(DAY_MS, () => fired++);
    const cancelled = systemClock.setTimer(DAY_MS, () => fired++);
    mock.timers.tick(1000);
    cancelled.cancel();
    mock.timers.setTime(Date.UTC(2026, 0, 3));
    mock.timers.tick(60_000);
    assert.equal(fired, 1);
  } finally {
    mock.timers.reset();
  }
});
