/** Counts what became of calls: how many, how long, who answered, what went wrong. */

export type CallOutcome =
  | { readonly kind: 'ok'; readonly responder: string; readonly latencyMs: number }
  | { readonly kind: 'failed'; readonly reason: string; readonly latencyMs: number };

/** Latencies kept for percentiles; beyond it each new one replaces an old one at random. */
const MAX_SAMPLES = 100_000;

export class CallStatistics {
  #ok = 0;
  #failed = 0;
  readonly #responders = new Map<string, number>();
  readonly #reasons = new Map<string, number>();
  readonly #latencies: number[] = [];

  get failed(): number {
    return this.#failed;
  }

  add(outcome: CallOutcome): void {
    if (outcome.kind === 'ok') {
      this.#ok++;
      increment(this.#responders, outcome.responder);
      this.#keep(outcome.latencyMs);
    } else {
      this.#failed++;
      increment(this.#reasons, outcome.reason);
    }
  }

  toJSON() {
    const sorted = [...this.#latencies].sort((a, b) => a - b);
    const at = (share: number) => round(sorted[Math.floor((sorted.length - 1) * share)] ?? 0);
    return {
      calls: this.#ok + this.#failed,
      ok: this.#ok,
      failed: this.#failed,
      responders: Object.fromEntries([...this.#responders].sort()),
      errors: Object.fromEntries([...this.#reasons].sort()),
      latencyMs: { min: at(0), p50: at(0.5), p90: at(0.9), p99: at(0.99), max: at(1) },
    };
  }

  toText(): string {
    const { calls, ok, failed, responders, errors, latencyMs } = this.toJSON();
    const lines = [
      `${calls} calls, ${ok} ok, ${failed} failed; p50 ${latencyMs.p50} ms, max ${latencyMs.max} ms`,
    ];
    for (const [name, count] of Object.entries(responders)) lines.push(`  ${count} answered by ${name}`);
    for (const [reason, count] of Object.entries(errors)) lines.push(`  ${count} failed: ${reason}`);
    return `${lines.join('\n')}\n`;
  }

  #keep(latencyMs: number): void {
    const at =
      this.#latencies.length < MAX_SAMPLES ? this.#latencies.length : Math.floor(Math.random() * MAX_SAMPLES);
    this.#latencies[at] = latencyMs;
  }
}

function increment(counts: Map<string, number>, key: string): void {
  counts.set(key, (counts.get(key) ?? 0) + 1);
}

function round(ms: number): number {
  return Math.round(ms * 100) / 100;
}
