/** Profiles as text that is kept beside the program. */

import type { MappedPart } from './memory-map.ts';
import type { Share, ThreadProfile } from './thread-profile.ts';

const MOST_PLACES = 25;
const MEGABYTE = 1e6;

/** @param title what the proxy was doing */
export function cpuText(title: string, profiles: readonly ThreadProfile[]): string {
  const parts = profiles.map(({ thread, busy, cpu }) => {
    const rows = cpu.slice(0, MOST_PLACES).map(({ place, amount }) => `${percent(amount)}  ${place}`);
    const head = `${thread}: worked${percent(busy)} of the time; of that, by function without those it calls`;
    return [head, ...rows];
  });
  return text(title, parts);
}

export function heapText(
  title: string,
  profiles: readonly ThreadProfile[],
  mapped: readonly MappedPart[],
): string {
  const total = mapped.reduce((sum, { resident }) => sum + resident, 0);
  const map = [
    `the process: ${megabytes(total)} MB resident, of it anonymous in brackets`,
    ...mapped
      .slice(0, MOST_PLACES)
      .map(({ name, resident, anonymous }) => `${megabytes(resident)} (${megabytes(anonymous)})  ${name}`),
  ];
  const threads = profiles.map(({ thread, heap, usedHeap, totalHeap }) => [
    `${thread}: ${megabytes(usedHeap)} of ${megabytes(totalHeap)} MB of JavaScript heap in use; allocated meanwhile and still alive`,
    ...heap.slice(0, MOST_PLACES).map(kilobyteRow),
  ]);
  return text(title, [map, ...threads]);
}

function text(title: string, parts: readonly (readonly string[])[]): string {
  return `${[title, ...parts.map((lines) => lines.join('\n'))].join('\n\n')}\n`;
}

function kilobyteRow({ place, amount }: Share): string {
  return `${(amount / 1000).toFixed(1).padStart(8)} kB  ${place}`;
}

function percent(share: number): string {
  return `${(share * 100).toFixed(1).padStart(5)} %`;
}

function megabytes(bytes: number): string {
  return (bytes / MEGABYTE).toFixed(1).padStart(6);
}
