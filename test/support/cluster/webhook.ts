/** An admission webhook that is served from a pod: its objects, with a certificate made for them. */

import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Manifest } from '../mesh-manifests.ts';
import { checkoutCommand, clusterPod, toolsContainer } from './cluster-manifests.ts';
import { runCommand } from './command.ts';

const PORT = 8443;

/** A pod and Service `webhook` in the namespace, asked by the API server about every ConfigMap that is made there. */
export async function webhookManifests(namespace: string): Promise<readonly Manifest[]> {
  const { key, certificate } = await makeCertificate(`webhook.${namespace}.svc`);
  const container = toolsContainer({
    command: checkoutCommand('test/support/cluster/webhook-main.ts'),
    env: [
      { name: 'TLS_KEY', value: key },
      { name: 'TLS_CERTIFICATE', value: certificate },
    ],
    readinessProbe: { httpGet: { path: '/', port: PORT, scheme: 'HTTPS' }, periodSeconds: 1 },
  });
  const service = {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name: 'webhook', namespace },
    spec: { selector: { app: 'webhook' }, ports: [{ port: 443, targetPort: PORT }] },
  };
  return [
    clusterPod({ name: 'webhook', namespace, container }),
    service,
    configuration(namespace, certificate),
  ];
}

function configuration(namespace: string, certificate: string): Manifest {
  return {
    apiVersion: 'admissionregistration.k8s.io/v1',
    kind: 'ValidatingWebhookConfiguration',
    metadata: { name: namespace },
    webhooks: [
      {
        name: 'configmaps.test.ambit',
        admissionReviewVersions: ['v1'],
        sideEffects: 'None',
        failurePolicy: 'Fail',
        timeoutSeconds: 5,
        namespaceSelector: { matchLabels: { 'kubernetes.io/metadata.name': namespace } },
        objectSelector: { matchExpressions: [{ key: 'judged', operator: 'Exists' }] },
        rules: [{ apiGroups: [''], apiVersions: ['v1'], operations: ['CREATE'], resources: ['configmaps'] }],
        clientConfig: {
          service: { name: 'webhook', namespace, port: 443 },
          caBundle: Buffer.from(certificate).toString('base64'),
        },
      },
    ],
  };
}

async function makeCertificate(
  name: string,
): Promise<{ readonly key: string; readonly certificate: string }> {
  const folder = mkdtempSync(join(tmpdir(), 'ambit-webhook-'));
  const [key, certificate] = [join(folder, 'key'), join(folder, 'certificate')];
  try {
    const algorithm = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];
    const subject = ['-subj', `/CN=${name}`, '-addext', `subjectAltName=DNS:${name}`];
    await runCommand([
      'openssl',
      'req',
      '-x509',
      ...algorithm,
      ...subject,
      '-keyout',
      key,
      '-out',
      certificate,
    ]);
    return { key: readFileSync(key, 'utf8'), certificate: readFileSync(certificate, 'utf8') };
  } finally {
    rmSync(folder, { recursive: true });
  }
}
