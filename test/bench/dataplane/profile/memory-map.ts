/** What the memory of a process is made of, by what its parts are mapped from. */

import { readFileSync } from 'node:fs';

const KIB = 1024;

export interface MappedPart {
  readonly name: string;
  /** Bytes. */
  readonly resident: number;
  readonly anonymous: number;
}

/** Of /proc, largest first; throws when there is no such process. */
export function memoryMap(pid: number): readonly MappedPart[] {
  return parseMemoryMap(readFileSync(`/proc/${pid}/smaps`, 'utf8'));
}

/** Of the text of smaps: parts of the same file are one. */
export function parseMemoryMap(smaps: string): readonly MappedPart[] {
  const parts = new Map<string, MappedPart>();
  for (const block of smaps.split(/^(?=[0-9a-f]+-[0-9a-f]+ )/m)) {
    const [, path = ''] = /^\S+ \S+ \S+ \S+ \S+ *(.*)/.exec(block) ?? [];
    const field = (name: string) =>
      Number(new RegExp(`^${name}:\\s+(\\d+)`, 'm').exec(block)?.[1] ?? 0) * KIB;
    const name = path === '' ? '(anonymous)' : path.replace(/^\/.*\//, '');
    const before = parts.get(name);
    parts.set(name, {
      name,
      resident: (before?.resident ?? 0) + field('Rss'),
      anonymous: (before?.anonymous ?? 0) + field('Anonymous'),
    });
  }
  return [...parts.values()].filter(({ resident }) => resident > 0).sort((a, b) => b.resident - a.resident);
}
