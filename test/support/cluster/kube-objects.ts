/** Objects for tests against an API server, and the shortest way to put them there. */

import type { KubeClient } from '../../../src/kube/kube-client.ts';

const MANAGER = 'test';

export function podManifest(namespace: string, name: string, node?: string): object {
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { namespace, name, labels: { app: name } },
    spec: {
      ...(node !== undefined && { nodeName: node }),
      containers: [{ name: 'main', image: 'x', ports: [{ containerPort: 8080, name: 'http' }] }],
    },
  };
}

export async function makeNamespace(client: KubeClient, name: string): Promise<void> {
  const object = { apiVersion: 'v1', kind: 'Namespace', metadata: { name } };
  await client.apply(object, { fieldManager: MANAGER });
}

export async function createPod(
  client: KubeClient,
  namespace: string,
  name: string,
  node?: string,
): Promise<void> {
  const path = `/api/v1/namespaces/${namespace}/pods`;
  await client.request({ method: 'POST', path, body: podManifest(namespace, name, node) });
}

/** At once; there is no kubelet that would end it. */
export async function deletePod(client: KubeClient, namespace: string, name: string): Promise<void> {
  const path = `/api/v1/namespaces/${namespace}/pods/${name}`;
  await client.request({ method: 'DELETE', path, query: { gracePeriodSeconds: 0 } });
}

/** A CustomResourceDefinition whose objects may be anything. */
export function looseDefinition(group: string, kind: string, plural: string, version = 'v1') {
  const schema = { type: 'object', 'x-kubernetes-preserve-unknown-fields': true };
  return {
    apiVersion: 'apiextensions.k8s.io/v1',
    kind: 'CustomResourceDefinition',
    metadata: {
      name: `${plural}.${group}`,
      annotations: { 'api-approved.kubernetes.io': 'unapproved, a test' },
    },
    spec: {
      group,
      names: { kind, plural, singular: kind.toLowerCase() },
      scope: 'Namespaced',
      versions: [
        {
          name: version,
          served: true,
          storage: true,
          schema: { openAPIV3Schema: schema },
          subresources: { status: {} },
        },
      ],
    },
  };
}

const DEFINITIONS = '/apis/apiextensions.k8s.io/v1/customresourcedefinitions';

export async function installDefinition(client: KubeClient, definition: object): Promise<void> {
  await client.request({ method: 'POST', path: DEFINITIONS, body: definition });
}

export async function removeDefinition(client: KubeClient, definition: Named): Promise<void> {
  await client.request({ method: 'DELETE', path: `${DEFINITIONS}/${definition.metadata.name}` });
}

interface Named {
  readonly metadata: { readonly name: string };
}
