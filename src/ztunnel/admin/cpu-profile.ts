/** CPU and heap profiles of the control thread by the inspector that is built into the runtime. */

import { Session } from 'node:inspector/promises';

/** A profile in the format that Chrome's developer tools open (.cpuprofile). */
export async function cpuProfile(seconds: number, samplesPerSecond: number): Promise<string> {
  const session = new Session();
  session.connect();
  try {
    await session.post('Profiler.enable');
    await session.post('Profiler.setSamplingInterval', { interval: Math.round(1e6 / samplesPerSecond) });
    await session.post('Profiler.start');
    await new Promise((resolve) => setTimeout(resolve, seconds * 1000));
    const { profile } = await session.post('Profiler.stop');
    return JSON.stringify(profile);
  } finally {
    session.disconnect();
  }
}
