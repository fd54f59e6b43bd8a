/** Tells whether the kernel of the node can redirect the traffic of pods, by doing it where there is no pod. */

import { messageOf } from '../base/errors.ts';
import { NetworkNamespace } from '../sys/network-namespace.ts';
import type { IptablesChoice } from './iptables-tools.ts';
import type { PartReport } from './part-report.ts';
import { Redirection } from './redirection.ts';
import { ORDINARY } from './redirection-rules.ts';

/** Puts the rules of an ordinary pod into a namespace that is made for it and ends with it. */
export async function testKernel(iptables: IptablesChoice): Promise<PartReport> {
  let namespace: NetworkNamespace | undefined;
  try {
    namespace = NetworkNamespace.create();
    const redirection = new Redirection(iptables);
    await redirection.ensure(namespace, ORDINARY, true);
    const [missing] = await redirection.verify(namespace, ORDINARY);
    return missing === undefined
      ? { ok: true }
      : { ok: false, detail: 'rules are accepted but not in force' };
  } catch (thrown) {
    return { ok: false, detail: messageOf(thrown) };
  } finally {
    namespace?.close();
  }
}
