/** What the daemon and its process inside a node say to each other. */

import type { IpAddress } from '../../base/ip.ts';
import type { ProbeAnswer } from './probe-loop.ts';

/** A probe that needs a connection from the node. */
export type NetworkProbe =
  | {
      readonly kind: 'http';
      readonly url: string;
      readonly headers: Readonly<Record<string, string>>;
      readonly timeoutMs: number;
    }
  | { readonly kind: 'tcp'; readonly host: string; readonly port: number; readonly timeoutMs: number };

/** Addresses by name, and aliases; names are lower case without the final dot. */
export interface DnsTable {
  readonly addresses: Readonly<Record<string, readonly IpAddress[]>>;
  readonly aliases: Readonly<Record<string, string>>;
}

export type ToNodeLocal =
  | { readonly kind: 'probe'; readonly id: number; readonly probe: NetworkProbe }
  | { readonly kind: 'dns'; readonly table: DnsTable };

export type FromNodeLocal =
  | { readonly kind: 'listening' }
  | { readonly kind: 'answer'; readonly id: number; readonly answer: ProbeAnswer };
