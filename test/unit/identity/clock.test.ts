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

test('a wall clock that is set back puts no timer off', (t) => {
  let wallMs = Date.UTC(2026, 0, 3);
  t.mock.method(Date, 'now', () => wallMs);
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const pass = (ms: number) => {
    wallMs += ms;
    t.mock.timers.tick(ms);
  };
  let fired = 0;
  systemClock.setTimer(3000, () => fired++);
  systemClock.setTimer(DAY_MS, () => fired++);
  pass(1000);
  wallMs -= 2 * DAY_MS;
  pass(1999);
  assert.equal(fired, 0);
  pass(1);
  assert.equal(fired, 1);
  for (let minute = 0; minute < 24 * 60; minute++) pass(60_000);
  assert.equal(fired, 2);
});
