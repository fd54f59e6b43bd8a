/** What a test and its caller inside a pod or node say to each other: orders and answers, one JSON text per line. */

/** Where a connection went from or to. */
export interface SocketEnd {
  readonly ip: string;
  readonly port: number;
}

export interface HttpAnswer {
  readonly status: number;
  readonly body: string;
  /** The time of day at the other end, as it says. */
  readonly date: string | undefined;
  /** The caller's end of the connection. */
  readonly local: SocketEnd;
  /** What the caller's socket has written and read, HTTP headers included. */
  readonly bytesSent: number;
  readonly bytesReceived: number;
}

/** What a port does with somebody who connects and talks HTTP to it. */
export type ProbeOutcome =
  | { readonly kind: 'not connected'; readonly code: string }
  | { readonly kind: 'closed'; readonly code: string }
  | { readonly kind: 'answered'; readonly text: string };

export interface DnsQuestion {
  readonly name: string;
  readonly type: 'A' | 'AAAA' | 'TXT';
  readonly transport: 'udp' | 'tcp';
}

export interface DnsAnswer {
  readonly rcode: number;
  /** Addresses and names in the order of the answer section. */
  readonly records: readonly { readonly type: string; readonly name: string; readonly data: string }[];
}

/** Everything a caller can be told to do; an error answers with the system's code. */
export interface CallerOrders {
  readonly get: { readonly request: { readonly url: string }; readonly response: HttpAnswer };
  readonly open: {
    readonly request: { readonly host: string; readonly port: number };
    readonly response: { readonly connection: number };
  };
  /** Sends a text and waits until as much has come back. */
  readonly exchange: {
    readonly request: { readonly connection: number; readonly text: string };
    readonly response: { readonly text: string };
  };
  /** Waits until the other end closes: `end`, or the code of the error that it came with. */
  readonly ending: {
    readonly request: { readonly connection: number };
    readonly response: { readonly how: string };
  };
  readonly close: {
    readonly request: { readonly connection: number };
    readonly response: Readonly<Record<string, never>>;
  };
  readonly probe: {
    readonly request: { readonly host: string; readonly port: number };
    readonly response: ProbeOutcome;
  };
  /** As an application asks its resolver library: search list, /etc/hosts and all. */
  readonly lookup: {
    readonly request: { readonly name: string; readonly family: 0 | 4 | 6 };
    readonly response: { readonly addresses: readonly string[] };
  };
  /** One question to the first nameserver of resolv.conf, as it is. */
  readonly query: { readonly request: DnsQuestion; readonly response: DnsAnswer };
}

export type OrderName = keyof CallerOrders;

export interface Order<N extends OrderName = OrderName> {
  readonly id: number;
  readonly name: N;
  readonly request: CallerOrders[N]['request'];
}

export type OrderAnswer =
  | { readonly id: number; readonly response: unknown }
  | { readonly id: number; readonly code: string; readonly message: string };
