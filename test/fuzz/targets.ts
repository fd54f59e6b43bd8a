/** Every parser that bytes of others reach. */

import type { FuzzTarget } from './fuzz-target.ts';
import * as certificates from './targets/certificates.ts';
import { dnsTarget } from './targets/dns.ts';
import * as http2 from './targets/http2.ts';
import * as manifests from './targets/manifests.ts';
import * as node from './targets/node.ts';
import * as protobuf from './targets/protobuf.ts';
import * as text from './targets/text.ts';

export const TARGETS: readonly FuzzTarget[] = [
  ...Object.values(http2),
  dnsTarget,
  ...Object.values(protobuf),
  ...Object.values(text),
  ...Object.values(certificates),
  ...Object.values(manifests),
  ...Object.values(node),
];
