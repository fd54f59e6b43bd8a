/** Puts a container's probes into terms of its pod: addresses, named ports, commands. */

import { isIPv6 } from 'node:net';
import type { Container, StoredPod } from '../api/kube-object.ts';
import { tryCommand } from '../host/run-command.ts';
import { containerCommand } from './container-command.ts';
import type { NetworkProbe } from './node-local-messages.ts';
import type { ProbeAnswer, ProbeSpec } from './probe-loop.ts';

export interface PodProberOptions {
  readonly pod: () => StoredPod;
  /** What to put before a command to run it in the pod. */
  readonly enter: () => readonly string[];
  /** Probes from the pod's node. */
  readonly fromNode: (probe: NetworkProbe) => Promise<ProbeAnswer>;
}

/** Never rejects. */
export async function askContainer(
  options: PodProberOptions,
  container: Container,
  probe: ProbeSpec,
  timeoutMs: number,
): Promise<ProbeAnswer> {
  if (probe.exec !== undefined) return askCommand(options, container, probe.exec.command ?? [], timeoutMs);
  const target = networkProbe(options.pod(), container, probe, timeoutMs);
  return target === undefined
    ? { ok: false, message: 'the probe names no port of the container' }
    : options.fromNode(target);
}

async function askCommand(
  { pod, enter }: PodProberOptions,
  container: Container,
  command: readonly string[],
  timeoutMs: number,
): Promise<ProbeAnswer> {
  const resolved = containerCommand(pod(), container);
  const env = resolved.kind === 'command' ? resolved.env : {};
  try {
    const { code, output, errors, timedOut } = await tryCommand([...enter(), ...command], { timeoutMs, env });
    if (code === 0) return { ok: true, message: '' };
    const said = (errors || output).trim().split('\n').at(-1) ?? '';
    const reason = timedOut ? `no end within ${timeoutMs / 1000} s` : `exit code ${code} ${said}`.trim();
    return { ok: false, message: `${command.join(' ')}: ${reason}` };
  } catch (thrown) {
    return { ok: false, message: `${command.join(' ')}: ${String(thrown)}` };
  }
}

function networkProbe(
  pod: StoredPod,
  container: Container,
  probe: ProbeSpec,
  timeoutMs: number,
): NetworkProbe | undefined {
  const target = probe.httpGet ?? probe.tcpSocket;
  const port = target === undefined ? undefined : portOf(container, target.port);
  if (target === undefined || port === undefined) return undefined;
  const host = target.host ?? pod.status?.podIP ?? '';
  if (probe.httpGet === undefined) return { kind: 'tcp', host, port, timeoutMs };
  const { scheme = 'HTTP', path = '/', httpHeaders = [] } = probe.httpGet;
  const authority = `${isIPv6(host) ? `[${host}]` : host}:${port}`;
  const url = `${scheme.toLowerCase()}://${authority}${path.startsWith('/') ? '' : '/'}${path}`;
  const headers = Object.fromEntries(httpHeaders.map(({ name, value }) => [name, value]));
  return { kind: 'http', url, headers, timeoutMs };
}

function portOf(container: Container, port: string | number | undefined): number | undefined {
  if (typeof port === 'number') return port;
  return container.ports?.find((one) => one.name === port)?.containerPort;
}
