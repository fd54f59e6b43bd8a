/** SPIFFE IDs of the one form the mesh uses: spiffe://<trust domain>/ns/<namespace>/sa/<service account>. */

export interface SpiffeId {
  readonly trustDomain: string;
  readonly namespace: string;
  readonly serviceAccount: string;
}

const SCHEME = 'spiffe://';
/** SPIFFE ID specification §2.3: an implementation must take at least this many bytes; longer ones are refused. */
const MAX_LENGTH = 2048;
/** Ibid. §2.2: a segment is neither `.` nor `..`. */
const SEGMENT = /^(?!\.{1,2}$)[A-Za-z0-9._-]+$/;

/** Parses strictly: five segments, none of them empty; undefined for anything else. */
export function parseSpiffeId(text: string): SpiffeId | undefined {
  if (!text.startsWith(SCHEME) || text.length > MAX_LENGTH) return undefined;
  const parts = text.slice(SCHEME.length).split('/');
  if (parts.length !== 5 || parts[1] !== 'ns' || parts[3] !== 'sa') return undefined;
  const [trustDomain, , namespace, , serviceAccount] = parts as [string, string, string, string, string];
  if (![trustDomain, namespace, serviceAccount].every((segment) => SEGMENT.test(segment))) return undefined;
  return { trustDomain, namespace, serviceAccount };
}

export function formatSpiffeId(id: SpiffeId): string {
  return `${SCHEME}${id.trustDomain}/ns/${id.namespace}/sa/${id.serviceAccount}`;
}
