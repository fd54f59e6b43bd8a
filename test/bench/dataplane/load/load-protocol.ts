/** What the bench asks of its load generator, and what both ends know of the bytes they exchange. */

/** The first byte of a connection tells the sink what it is for. */
export const MODE = { discard: 0x55, source: 0x44, request: 0x47 } as const;

/** Fixed sizes: both ends count bytes instead of parsing. The first byte is {@link MODE}.request. */
export const REQUEST = Buffer.from('GET / HTTP/1.1\r\nhost: bench\r\n\r\n');
export const RESPONSE = Buffer.from('HTTP/1.1 200 OK\r\ncontent-length: 13\r\n\r\nhello, world\n');

/** Where the sink listens in its pod. */
export const SINK_PORT = 9000;

interface Target {
  /** Written as `IP:PORT`. */
  readonly target: string;
}

/** What all orders have that take a while. */
export interface TimedOrder extends Target {
  /** Before anything is counted. */
  readonly warmupMs: number;
  readonly durationMs: number;
  /** Of processes whose time counts. */
  readonly pids: readonly number[];
}

/** Bytes as fast as they go, from the client (`up`) or to it (`down`). */
export interface BulkOrder extends TimedOrder {
  readonly connections: number;
  readonly kind: 'bulk';
  readonly direction: 'up' | 'down';
}

/** One request after another on each keep-alive connection. */
export interface RequestsOrder extends TimedOrder {
  readonly connections: number;
  readonly kind: 'requests';
}

/** Requests at a fixed pace; latency counts from when a request was due, not from when it could be sent. */
export interface PacedOrder extends TimedOrder {
  readonly connections: number;
  readonly kind: 'paced';
  readonly perSecond: number;
}

/** A new connection for each request. */
export interface FreshOrder extends TimedOrder {
  readonly connections: number;
  readonly kind: 'fresh';
}

/** Connections that stay open until the next order. */
export interface IdleOrder extends Target {
  readonly kind: 'idle';
  readonly connections: number;
}

export type LoadOrder = BulkOrder | RequestsOrder | PacedOrder | FreshOrder | IdleOrder;

/** Latencies in µs; zeros where none were measured. */
export interface Latencies {
  readonly p50: number;
  readonly p90: number;
  readonly p99: number;
  readonly p999: number;
}

/** Lines that the generator writes. */
export type LoadReport =
  | { readonly kind: 'ready' }
  | LoadResult
  | { readonly kind: 'failed'; readonly message: string };

export interface LoadResult {
  readonly kind: 'done';
  /** Bytes of a bulk order, requests of any other. */
  readonly amount: number;
  readonly seconds: number;
  /** Of the processes of the order, together. */
  readonly cpuSeconds: number;
  readonly latencies: Latencies;
}
