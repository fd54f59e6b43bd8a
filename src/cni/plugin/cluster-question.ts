/** Asks the API server whether a pod belongs into the mesh, for when the node agent cannot say. */

import { readFileSync } from 'node:fs';
import { messageOf } from '../../base/errors.ts';
import type { Pod } from '../../objects/core-types.ts';
import { decideEnrolment, type EnrolmentSettings } from '../enrolment-decision.ts';
import { podFacts } from '../pod-facts.ts';
import { podUids } from '../pod-identity.ts';
import { isJsonObject, type JsonObject } from './invocation.ts';

export type ClusterAnswer =
  | { readonly kind: 'enrolled' }
  | { readonly kind: 'not-enrolled' }
  | { readonly kind: 'unknown'; readonly reason: string };

export interface PodName {
  readonly namespace: string;
  readonly name: string;
  readonly uid: string | undefined;
}

interface ApiServer {
  readonly origin: string;
  readonly ca: string | undefined;
  readonly token: string;
}

const REQUEST_TIMEOUT_MS = 3_000;
/** An object of Kubernetes is at most 1.5 MiB in etcd. */
const MAX_ANSWER_BYTES = 4 * 1024 * 1024;

/** Never rejects: what cannot be found out is unknown. */
export async function askCluster(
  kubeconfigPath: string,
  pod: PodName,
  settings: EnrolmentSettings,
): Promise<ClusterAnswer> {
  try {
    const server = readKubeconfig(kubeconfigPath);
    const namespacePath = `/api/v1/namespaces/${encodeURIComponent(pod.namespace)}`;
    const [podObject, namespace] = await Promise.all([
      getObject(server, `${namespacePath}/pods/${encodeURIComponent(pod.name)}`),
      getObject(server, namespacePath),
    ]);
    return judge(pod, podObject, namespace, settings);
  } catch (thrown) {
    return { kind: 'unknown', reason: messageOf(thrown) };
  }
}

function judge(
  name: PodName,
  podObject: JsonObject,
  namespace: JsonObject,
  settings: EnrolmentSettings,
): ClusterAnswer {
  const pod = podObject as unknown as Pod;
  if (name.uid !== undefined && !podUids(pod.metadata).includes(name.uid)) {
    return { kind: 'unknown', reason: `the API server knows another pod of the name ${name.name}` };
  }
  const { labels } = (namespace as unknown as Pod).metadata;
  const { enrol } = decideEnrolment(podFacts(pod), labels ?? {}, settings);
  return { kind: enrol ? 'enrolled' : 'not-enrolled' };
}

/** The agent writes JSON, which is YAML as well. @throws Error when it is not there or not understood */
function readKubeconfig(path: string): ApiServer {
  const config: unknown = JSON.parse(readFileSync(path, 'utf8'));
  const cluster = firstOf(config, 'clusters', 'cluster');
  const user = firstOf(config, 'users', 'user');
  const { server, 'certificate-authority-data': ca } = cluster;
  const { token } = user;
  if (typeof server !== 'string' || typeof token !== 'string') {
    throw new Error(`${path} names no server or no token`);
  }
  return {
    origin: server,
    ca: typeof ca === 'string' ? Buffer.from(ca, 'base64').toString() : undefined,
    token,
  };
}

function firstOf(config: unknown, list: string, field: string): JsonObject {
  const entries = isJsonObject(config) ? config[list] : undefined;
  const entry: unknown = Array.isArray(entries) ? entries[0] : undefined;
  const value = isJsonObject(entry) ? entry[field] : undefined;
  return isJsonObject(value) ? value : {};
}

function getObject(server: ApiServer, path: string): Promise<JsonObject> {
  // Loaded when it is needed, which is hardly ever; see agent-call.ts.
  const { request } = process.getBuiltinModule('node:https');
  return new Promise((resolve, reject) => {
    const sent = request(
      new URL(path, server.origin),
      {
        ...(server.ca !== undefined && { ca: server.ca }),
        agent: false,
        headers: { accept: 'application/json', authorization: `Bearer ${server.token}` },
        signal: AbortSignal.timeout(REQUEST_TIMEOUT_MS),
      },
      (response) => {
        const chunks: Buffer[] = [];
        let length = 0;
        response.on('data', (chunk: Buffer) => {
          chunks.push(chunk);
          length += chunk.length;
          if (length > MAX_ANSWER_BYTES) response.destroy(new Error('an answer without end'));
        });
        response.on('error', reject);
        response.on('end', () => {
          try {
            resolve(objectOf(path, response.statusCode ?? 0, Buffer.concat(chunks).toString()));
          } catch (thrown) {
            reject(thrown);
          }
        });
      },
    );
    sent.on('error', reject);
    sent.end();
  });
}

function objectOf(path: string, status: number, text: string): JsonObject {
  if (status !== 200) throw new Error(`GET ${path} was answered with ${status}`);
  const value: unknown = JSON.parse(text);
  if (isJsonObject(value) && isJsonObject(value.metadata)) return value;
  throw new Error(`GET ${path} was not answered with an object`);
}
