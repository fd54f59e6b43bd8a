/** One probe over the network: HTTP, HTTPS or TCP, judged as the kubelet does. */

import { Agent, get as httpGet, type IncomingMessage } from 'node:http';
import { connect } from 'node:net';
import { messageOf } from '../../base/errors.ts';
import type { NetworkProbe } from './node-local-messages.ts';
import type { ProbeAnswer } from './probe-loop.ts';

/** Probes never share a connection: each must find the listener by itself. */
const AGENT = new Agent({ keepAlive: false });

/** Never rejects. */
export async function askProbe(probe: NetworkProbe): Promise<ProbeAnswer> {
  try {
    await (probe.kind === 'http' ? askHttp(probe) : askTcp(probe));
    return { ok: true, message: '' };
  } catch (thrown) {
    const timedOut = thrown instanceof Error && /^(Abort|Timeout)Error$/.test(thrown.name);
    const reason = timedOut ? `no answer within ${probe.timeoutMs / 1000} s` : messageOf(thrown);
    const target = probe.kind === 'http' ? `GET ${probe.url}` : `connect to ${probe.host} port ${probe.port}`;
    return { ok: false, message: `${target}: ${reason}` };
  }
}

async function askHttp(probe: NetworkProbe & { kind: 'http' }): Promise<void> {
  const secure = probe.url.startsWith('https:');
  const https = secure ? await import('node:https') : undefined;
  return new Promise((resolve, reject) => {
    const judge = (response: IncomingMessage) => {
      response.resume();
      const status = response.statusCode ?? 0;
      if (status >= 200 && status < 400) resolve();
      else reject(new Error(`HTTP status ${status}`));
    };
    const signal = AbortSignal.timeout(probe.timeoutMs);
    const headers = { 'user-agent': 'kube-probe/1.36', accept: '*/*', connection: 'close', ...probe.headers };
    const call =
      https === undefined
        ? httpGet(probe.url, { agent: AGENT, headers, signal }, judge)
        : // The kubelet does not verify certificates either.
          https.get(probe.url, { agent: false, headers, signal, rejectUnauthorized: false }, judge);
    call.on('error', reject);
  });
}

function askTcp(probe: NetworkProbe & { kind: 'tcp' }): Promise<void> {
  return new Promise((resolve, reject) => {
    const signal = AbortSignal.timeout(probe.timeoutMs);
    const socket = connect({ host: probe.host, port: probe.port, signal });
    socket.once('error', reject);
    socket.once('connect', () => {
      socket.destroy();
      resolve();
    });
  });
}
