/** Types for the two parts of node-forge that are used: its index would load the whole library. */

declare module 'node-forge/lib/asn1.js' {
  import { asn1 } from 'node-forge';
  export = asn1;
}

declare module 'node-forge/lib/oids.js' {
  const oids: Readonly<Record<string, string>>;
  export = oids;
}
