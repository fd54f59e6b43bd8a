/** Types for the one part of node-forge that is used: its index would load the whole library. */

declare module 'node-forge/lib/asn1.js' {
  import { asn1 } from 'node-forge';
  export = asn1;
}
