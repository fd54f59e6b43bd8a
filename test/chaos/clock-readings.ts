/** What time of day the processes of the mesh go by, as the answers of their own pages tell it. */

import type { Environment } from '../../src/sandbox/client/environment.ts';
import type { PodCaller } from '../support/pod-caller.ts';
import type { Clock } from './chaos-world.ts';

const HOUR_MS = 3_600_000;

interface Page {
  readonly process: string;
  readonly clock: Clock;
  readonly url: string;
}

/** Processes whose clocks are not where they are to be, in words. */
export async function misledProcesses(
  environment: Environment,
  callerOn: (node: string) => Promise<PodCaller>,
  hoursOff: Readonly<Record<Clock, number>>,
): Promise<readonly string[]> {
  const readings = environment.nodes.flatMap(({ name }) =>
    pagesSeenFrom(name, environment).map(async ({ process, clock, url }) => {
      const hours = await hoursOffAt(url, await callerOn(name));
      return hours === hoursOff[clock]
        ? []
        : [`${process} is ${hours} h off instead of ${hoursOff[clock]} h`];
    }),
  );
  return (await Promise.all(readings)).flat();
}

/** Its own processes, and the control plane. */
function pagesSeenFrom(node: string, { nodes, controlPlane }: Environment): readonly Page[] {
  const { ztunnel, cni } = nodes.find(({ name }) => name === node)!;
  const { ip, httpPort } = controlPlane!.process!;
  return [
    {
      process: `ztunnel of ${node}`,
      clock: 'proxies',
      url: `http://127.0.0.1:${ztunnel!.metricsPort}/metrics`,
    },
    { process: `cni of ${node}`, clock: 'control', url: `http://127.0.0.1:${cni!.metricsPort}/metrics` },
    { process: 'control plane', clock: 'control', url: `http://${ip}:${httpPort}/healthz` },
  ];
}

/** To the whole hour; NaN where nobody answers. */
async function hoursOffAt(url: string, caller: PodCaller): Promise<number> {
  const date = await caller.get(url).then(
    (answer) => answer.date,
    () => undefined,
  );
  return Math.round((Date.parse(date ?? '') - Date.now()) / HOUR_MS);
}
