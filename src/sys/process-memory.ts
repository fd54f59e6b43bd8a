/** Gives memory back that a process took while it started or while it read much at once. */

import { readFileSync } from 'node:fs';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import * as k from './layouts.ts';
import { libc } from './libc.ts';

/**
 * malloc.h: how many arenas threads share, from which size on a block is a mapping of its own, and how much may lie free
 * at the end of an arena.
 */
const M_ARENA_MAX = -8;
const M_MMAP_THRESHOLD = -3;
const M_TRIM_THRESHOLD = -1;
/** What one thread has freed is of use to those of its own arena alone. */
const ARENAS = 2;
/**
 * Bytes, far above OpenSSL's buffers, which come and go with every record. Left to itself glibc lets it rise to 32 MiB as
 * large blocks are freed, and then puts those between small ones that stay.
 */
const MAPPED_FROM = 1024 * 1024;
const TRIMMED_FROM = 2 * MAPPED_FROM;

/**
 * Megabytes for the short-lived objects of a thread. V8's own limit is many times that where much is read, and it comes
 * nearer to a limit over minutes of load, which looks as if something leaked.
 */
export const YOUNG_GENERATION_MB = 6;
/** V8 counts two halves for objects and a third one for large objects. */
const SEMISPACE_MB = YOUNG_GENERATION_MB / 3;

/**
 * Percent of the room that V8 gives a heap until its next full collection, at least 8 MB, after which it begins that. It then
 * marks beside the program, and holds it up for as long as with a full room.
 */
const COLLECT_AT = 50;

/** Of /proc/self/smaps: a private mapping of a file that cannot be written to, and how many KiB of it differ from the file. */
const READ_ONLY_MAPPING =
  /^([0-9a-f]+)-([0-9a-f]+) r-[x-]p \S+ \S+ [1-9]\d* +(\/.*)\n(?:\w+: .*\n)*?Anonymous: +(\d+) kB$/gm;

type CollectGarbage = (options: { readonly type: 'major'; readonly flavor?: 'last-resort' }) => void;

/**
 * For a process that has threads with heaps of their own: to be called before it starts them. None of these flags makes V8
 * take compiled code, Node's own included, for another version's and compile it anew: that doubles a thread's start.
 */
export function keepMemorySmall(): void {
  // From the first load on; a page that is not used takes no memory.
  setFlagsFromString(`--min-semi-space-size=${SEMISPACE_MB}`);
  // A young generation takes half a millisecond, but a helper that is kept from its core in the midst of it takes 20.
  setFlagsFromString('--no-parallel-scavenge');
  libc.mallopt(M_ARENA_MAX, ARENAS);
  libc.mallopt(M_MMAP_THRESHOLD, MAPPED_FROM);
  libc.mallopt(M_TRIM_THRESHOLD, TRIMMED_FROM);
}

/**
 * Lets V8 collect in small portions from now on, in all threads, rather than leave its heaps room to grow by more than half,
 * and give back what it has freed. Not while much is read that stays: each collection then finds nothing. Nor before the
 * threads have loaded their program, see {@link keepMemorySmall}.
 */
export function collectOften(): void {
  // Pages that a collection has freed wait in a pool for this long, and then for a task of Node's event loop: for ever.
  setFlagsFromString('--memory-pool-timeout=0');
  // V8 asks Node's event loop for each collection of young objects before it is due. A reactor never runs what is asked.
  setFlagsFromString('--no-minor-gc-task');
  // Where most objects that a place in the program makes live long, V8 has it make old ones. When a peer keeps that place
  // busy, each of them, dead at once, keeps whatever it refers to until a full collection, of which there are ten a second then.
  setFlagsFromString('--no-allocation-site-pretenuring');
  setFlagsFromString(`--incremental-marking-hard-trigger=${COLLECT_AT}`);
}

/**
 * Collects the garbage of this thread, and returns the pages that are free then to the kernel. V8 does so by itself
 * only in a thread that runs Node's event loop, after it was idle for long. Takes 40 ms, and 3 ms more for each MB in use.
 */
export function releaseThreadMemory(): void {
  collector()({ type: 'major', flavor: 'last-resort' });
}

/**
 * So often {@link collectThreadStep} comes to what {@link releaseThreadMemory} does at once: the first collection finds
 * the garbage, the next one has its pages swept and puts them aside, the one after that returns them.
 */
export const COLLECTION_STEPS = 3;

/**
 * One collection of the garbage of this thread, which takes a third of the time. What it frees is swept beside the
 * thread, so the next one should not follow at once. Pages are returned where {@link collectOften} was called.
 */
export function collectThreadStep(): void {
  collector()({ type: 'major' });
}

/** Of this thread. */
let collect: CollectGarbage | undefined;

/** What is running already has no gc() of its own. */
function collector(): CollectGarbage {
  if (collect === undefined) {
    setFlagsFromString('--expose-gc');
    collect = runInNewContext('gc') as CollectGarbage;
  }
  return collect;
}

/**
 * Returns the pages that the allocator holds free between blocks in use: OpenSSL's and V8's buffers of connections that are
 * gone. By itself glibc returns only what is free at the end of an arena. Takes 0.2 ms for each MB.
 */
export function releaseFreeBlocks(): void {
  libc.malloc_trim(0n);
}

/**
 * Returns what the allocator holds free, and takes the program's pages out of this process: most of them were needed
 * for its start alone. The others come back from the kernel's cache as they are used.
 */
export function releaseProcessMemory(): void {
  releaseFreeBlocks();
  const mappings = readFileSync('/proc/self/smaps', 'latin1').matchAll(READ_ONLY_MAPPING);
  for (const [, start, end, path, changedKib] of mappings) {
    // What the dynamic linker has written to would be lost.
    if (path !== process.execPath || changedKib !== '0') continue;
    const address = BigInt(`0x${start}`);
    libc.madvise(address, BigInt(`0x${end}`) - address, k.MADV_DONTNEED);
  }
}
