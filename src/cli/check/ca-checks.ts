/** Checks of the certificate authority's root: valid for long enough, and the same in every namespace. */

import { X509Certificate } from 'node:crypto';
import { ROOT_CONFIG_MAP, ROOT_KEY } from '../cluster/mesh-names.ts';
import { type Check, error, type Finding, warning } from './check.ts';
import type { MeshFacts } from './mesh-facts.ts';

const DAY_MS = 86_400_000;
/** Long enough to plan a rotation with overlap. */
const NOTICE_MS = 60 * DAY_MS;

const rootValid: Check<MeshFacts> = {
  code: 'AMBIT_CHECK_ROOT_VALID',
  claim: `the root certificate is valid for ${NOTICE_MS / DAY_MS} more days`,
  remedy: 'rotate the root with overlap: `ambit ca rotate`, or by the operator’s own CA',
  find: (facts) => {
    const own = rootOf(facts);
    if (own === undefined) {
      const remedy = 'see the log of the control plane: its leader publishes the root';
      return [error(`${facts.meshNamespace} has no ConfigMap ${ROOT_CONFIG_MAP}`, { remedy })];
    }
    const certificates = certificatesIn(own);
    if (certificates.length === 0) return [error(`${ROOT_CONFIG_MAP} holds no certificate`)];
    const latest = Math.max(...certificates.map((one) => one.validToDate.getTime()));
    return expiryFindings(latest - facts.now);
  },
};

const rootPublished: Check<MeshFacts> = {
  code: 'AMBIT_CHECK_ROOT_PUBLISHED',
  claim: 'every namespace has the root certificate',
  remedy: 'see the log of the control plane: it publishes the root into every namespace',
  find: (facts) => {
    const own = rootOf(facts);
    const byNamespace = new Map(
      facts.roots.map(({ metadata, data }) => [metadata.namespace, data?.[ROOT_KEY]]),
    );
    return facts.namespaces.flatMap((name): Finding[] => {
      const root = byNamespace.get(name);
      if (root !== undefined && (own === undefined || root === own)) return [];
      const cause =
        root === undefined ? `has no ConfigMap ${ROOT_CONFIG_MAP}` : 'has another root certificate';
      return [warning(cause, { object: `namespace/${name}` })];
    });
  },
};

export const CA_CHECKS: readonly Check<MeshFacts>[] = [rootValid, rootPublished];

function rootOf({ roots, meshNamespace }: MeshFacts): string | undefined {
  return roots.find(({ metadata }) => metadata.namespace === meshNamespace)?.data?.[ROOT_KEY];
}

function certificatesIn(bundle: string): X509Certificate[] {
  const blocks = bundle.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? [];
  return blocks.map((pem) => new X509Certificate(pem));
}

function expiryFindings(leftMs: number): Finding[] {
  if (leftMs <= 0) return [error('has expired: no proxy trusts another')];
  if (leftMs < NOTICE_MS) return [warning(`expires in ${Math.floor(leftMs / DAY_MS)} days`)];
  return [];
}
