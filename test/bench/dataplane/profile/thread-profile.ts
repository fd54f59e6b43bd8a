/** What a profile of a running thread comes to: time and memory by function. */

/** A place in the program, `name file:line`, and what it used by itself, without the functions that it called. */
export interface Share {
  readonly place: string;
  readonly amount: number;
}

export interface ThreadProfile {
  readonly thread: string;
  /** Share of the time in which it did not wait. */
  readonly busy: number;
  /** Shares of that time, largest first. */
  readonly cpu: readonly Share[];
  /** Bytes of objects that were made while the profile ran and lived at its end, by who made them. */
  readonly heap: readonly Share[];
  /** Bytes of the JavaScript heap in use, and taken from the system. */
  readonly usedHeap: number;
  readonly totalHeap: number;
}

/** As in the DevTools protocol. */
export interface CallFrame {
  readonly functionName: string;
  readonly url: string;
  readonly lineNumber: number;
}

/** Of a CPU profile, as far as it is read here. */
export interface CpuProfile {
  readonly nodes: readonly { readonly callFrame: CallFrame; readonly hitCount?: number }[];
}

/** Of a heap sampling profile, as far as it is read here. */
export interface HeapNode {
  readonly callFrame: CallFrame;
  readonly selfSize: number;
  readonly children: readonly HeapNode[];
}

/** Waiting is not work; a reactor waits in its own system call. */
const WAITING = new Set(['(idle)', '(root)', 'epoll_wait']);

export function cpuShares({ nodes }: CpuProfile): Pick<ThreadProfile, 'busy' | 'cpu'> {
  const working = nodes.filter(({ callFrame }) => !WAITING.has(callFrame.functionName));
  const total = hitsOf(working);
  const cpu = summed(working.map(({ callFrame, hitCount = 0 }) => ({ callFrame, amount: hitCount / total })));
  return { busy: total / hitsOf(nodes), cpu };
}

function hitsOf(nodes: CpuProfile['nodes']): number {
  return nodes.reduce((sum, { hitCount = 0 }) => sum + hitCount, 0);
}

export function heapShares(head: HeapNode): readonly Share[] {
  const all: { callFrame: CallFrame; amount: number }[] = [];
  const visit = ({ callFrame, selfSize, children }: HeapNode) => {
    all.push({ callFrame, amount: selfSize });
    for (const child of children) visit(child);
  };
  visit(head);
  return summed(all);
}

function summed(
  parts: readonly { readonly callFrame: CallFrame; readonly amount: number }[],
): readonly Share[] {
  const sums = new Map<string, number>();
  for (const { callFrame, amount } of parts) {
    const place = placeOf(callFrame);
    sums.set(place, (sums.get(place) ?? 0) + amount);
  }
  const shares = Array.from(sums, ([place, amount]) => ({ place, amount }));
  return shares.filter(({ amount }) => amount > 0).sort((a, b) => b.amount - a.amount);
}

/** Files by their path below src. */
function placeOf({ functionName, url, lineNumber }: CallFrame): string {
  const name = functionName || '(anonymous)';
  const file = /\/src\/(.+)$/.exec(url)?.[1] ?? url.replace(/^.*\//, '');
  return file === '' ? name : `${name} ${file}:${lineNumber + 1}`;
}
