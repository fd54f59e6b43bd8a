/** AuthorizationPolicy and PeerAuthentication as their users see them: who is served, and what the status says. */

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import type { Condition } from '../../src/objects/core-types.ts';
import type { KubeObject } from '../../src/sandbox/api/kube-object.ts';
import { type Manifest, peerAuthenticationManifest, policyManifest } from '../support/mesh-manifests.ts';
import {
  EVERYBODY,
  OTHER_PORT,
  PolicyMatrix,
  ROOT_NAMESPACE,
  type Served,
} from '../support/policy-matrix.ts';
import { until } from '../support/sandbox-commands.ts';

const ORDERS = 'cluster.local/ns/shop/sa/orders';
const DATABASE = { selector: { matchLabels: { app: 'database' } } };
const IN_MESH = ['orders', 'frontend', 'visitor'] as const;

interface PolicyCase {
  readonly what: string;
  readonly policies: () => readonly Manifest[];
  readonly served: Served;
}

function from(source: Manifest): Manifest {
  return { from: [{ source }] };
}

describe('policy in a mesh', () => {
  let matrix: PolicyMatrix;

  before(async () => {
    matrix = await PolicyMatrix.start('policy');
    await matrix.serves({});
  });
  after(() => matrix?.session.dispose());

  const cases: readonly PolicyCase[] = [
    {
      what: 'ALLOW in a namespace lets the named principals in, everywhere in it and nowhere else',
      policies: () => [policyManifest('shop', 'p', { rules: [from({ principals: [ORDERS] })] })],
      served: { 'database:8080': ['orders'], 'database:8081': ['orders'], 'cache:8080': ['orders'] },
    },
    {
      what: 'ALLOW with a selector is for the selected pods alone',
      policies: () => [
        policyManifest('shop', 'p', { ...DATABASE, rules: [from({ namespaces: ['other', 'plain'] })] }),
      ],
      served: { 'database:8080': ['visitor'], 'database:8081': ['visitor'] },
    },
    {
      what: 'ALLOW in the root namespace is for the whole mesh',
      policies: () => [policyManifest(ROOT_NAMESPACE, 'p', { rules: [from({ namespaces: ['shop'] })] })],
      served: {
        'database:8080': ['orders', 'frontend'],
        'database:8081': ['orders', 'frontend'],
        'cache:8080': ['orders', 'frontend'],
        'museum:8080': ['orders', 'frontend'],
      },
    },
    {
      what: 'DENY goes before ALLOW, and for a port leaves the others alone',
      policies: () => [
        policyManifest('shop', 'allow', { rules: [from({ namespaces: ['shop'] })] }),
        policyManifest('shop', 'deny', {
          action: 'DENY',
          ...DATABASE,
          rules: [{ to: [{ operation: { ports: [String(OTHER_PORT)] } }] }],
        }),
      ],
      served: {
        'database:8080': ['orders', 'frontend'],
        'database:8081': [],
        'cache:8080': ['orders', 'frontend'],
      },
    },
    {
      what: 'DENY in the root namespace is for the whole mesh',
      policies: () => [
        policyManifest(ROOT_NAMESPACE, 'p', { action: 'DENY', rules: [from({ namespaces: ['other'] })] }),
      ],
      served: {
        'database:8080': ['orders', 'frontend', 'stranger'],
        'database:8081': ['orders', 'frontend', 'stranger'],
        'cache:8080': ['orders', 'frontend', 'stranger'],
        'museum:8080': ['orders', 'frontend', 'stranger'],
      },
    },
    {
      what: 'DENY of every identity but one keeps plain text out as well',
      policies: () => [
        policyManifest('shop', 'p', {
          action: 'DENY',
          ...DATABASE,
          rules: [from({ notPrincipals: ['*/sa/orders'] })],
        }),
      ],
      served: { 'database:8080': ['orders'], 'database:8081': ['orders'] },
    },
    {
      what: 'an ALLOW policy without rules allows nobody, a DENY policy without rules denies nobody',
      policies: () => [
        policyManifest('shop', 'nobody', DATABASE),
        policyManifest('other', 'nothing', { action: 'DENY' }),
      ],
      served: { 'database:8080': [], 'database:8081': [] },
    },
    {
      what: 'an ALLOW policy with an empty rule allows everybody',
      policies: () => [
        policyManifest('shop', 'nobody', {}),
        policyManifest('shop', 'everybody', { ...DATABASE, rules: [{}] }),
      ],
      served: { 'cache:8080': [] },
    },
    {
      what: 'several conditions of one rule must all hold',
      policies: () => [
        policyManifest('shop', 'p', {
          ...DATABASE,
          rules: [
            {
              ...from({ namespaces: ['shop', 'other'] }),
              to: [{ operation: { ports: ['8080'] } }],
              when: [{ key: 'source.principal', notValues: [ORDERS] }],
            },
          ],
        }),
      ],
      served: { 'database:8080': ['frontend', 'visitor'], 'database:8081': [] },
    },
    {
      what: 'service accounts are named with their namespace, or in that of the policy',
      policies: () => [
        policyManifest('shop', 'p', {
          ...DATABASE,
          rules: [from({ serviceAccounts: ['orders', 'other/visitor'] })],
        }),
      ],
      served: { 'database:8080': ['orders', 'visitor'], 'database:8081': ['orders', 'visitor'] },
    },
    {
      what: 'a policy that is only rehearsed changes nothing',
      policies: () => [policyManifest('shop', 'p', {}, { 'istio.io/dry-run': 'true' })],
      served: {},
    },
    {
      what: 'STRICT for a namespace wants mutual TLS there, PERMISSIVE for a pod takes it back',
      policies: () => [
        peerAuthenticationManifest('shop', 'strict', { mtls: { mode: 'STRICT' } }),
        peerAuthenticationManifest('shop', 'open', { ...DATABASE, mtls: { mode: 'PERMISSIVE' } }),
      ],
      served: { 'cache:8080': IN_MESH },
    },
    {
      what: 'STRICT in the root namespace is for the whole mesh, a namespace may say otherwise',
      policies: () => [
        peerAuthenticationManifest(ROOT_NAMESPACE, 'strict', { mtls: { mode: 'STRICT' } }),
        peerAuthenticationManifest('other', 'open', { mtls: { mode: 'PERMISSIVE' } }),
      ],
      served: { 'database:8080': IN_MESH, 'database:8081': IN_MESH, 'cache:8080': IN_MESH },
    },
    {
      what: 'a port may be strict in a permissive pod',
      policies: () => [
        peerAuthenticationManifest('shop', 'p', {
          ...DATABASE,
          mtls: { mode: 'PERMISSIVE' },
          portLevelMtls: { [OTHER_PORT]: { mode: 'STRICT' } },
        }),
      ],
      served: { 'database:8081': IN_MESH },
    },
    {
      what: 'a port may be permissive in a strict pod',
      policies: () => [
        peerAuthenticationManifest('shop', 'p', {
          ...DATABASE,
          mtls: { mode: 'STRICT' },
          portLevelMtls: { [OTHER_PORT]: { mode: 'PERMISSIVE' } },
        }),
      ],
      served: { 'database:8080': IN_MESH },
    },
  ];

  for (const { what, policies, served } of cases) test(what, () => matrix.inForce(policies(), served));

  test('addresses of clients are matched with and without mutual TLS', async () => {
    const blocks = await Promise.all([
      matrix.session.podIp('shop', 'orders'),
      matrix.session.podIp('plain', 'stranger'),
    ]);
    const only = policyManifest('shop', 'only', { ...DATABASE, rules: [from({ ipBlocks: blocks })] });
    const others = policyManifest('shop', 'others', {
      action: 'DENY',
      rules: [from({ notIpBlocks: blocks.map((ip) => `${ip}/32`) })],
    });
    const served = ['orders', 'stranger'] as const;
    await matrix.inForce([only], { 'database:8080': served, 'database:8081': served });
    const both = { 'database:8080': served, 'database:8081': served, 'cache:8080': served };
    await matrix.inForce([others], both);
  });

  /** The condition of a policy, once there is one. */
  async function conditionOf(name: string): Promise<Condition> {
    return until(`policy ${name} has a condition`, async () => {
      const policy = await matrix.session.object<KubeObject>('authorizationpolicy', 'shop', name);
      const { conditions = [] } = (policy.status ?? {}) as { readonly conditions?: readonly Condition[] };
      return conditions.find((one) => one.type === 'ZtunnelAccepted');
    });
  }

  test('a policy that is enforced as written says so', () => {
    const policy = policyManifest('shop', 'fine', {
      rules: [from({ namespaces: EVERYBODY.map(() => '*') })],
    });
    const served = { 'database:8080': IN_MESH, 'database:8081': IN_MESH, 'cache:8080': IN_MESH };
    return matrix.inForce([policy], served, async () => {
      const { status, reason } = await conditionOf('fine');
      assert.deepEqual([status, reason], ['True', 'Accepted']);
    });
  });

  test('DENY of nothing but HTTP has no effect, and its status says so', () => {
    const rules = [{ to: [{ operation: { methods: ['DELETE'], paths: ['/admin'] } }] }];
    const policy = policyManifest('shop', 'http', { action: 'DENY', rules });
    return matrix.inForce([policy], {}, async () => {
      const { status, reason, message } = await conditionOf('http');
      assert.deepEqual([status, reason], ['False', 'UnsupportedValue']);
      assert.match(message!, /does not support methods, paths: use a waypoint.*1 of 1 rules have no effect/);
    });
  });

  test('DENY that asks for HTTP beside an identity denies the identity everything, and its status says so', () => {
    const rules = [{ ...from({ namespaces: ['other'] }), to: [{ operation: { methods: ['DELETE'] } }] }];
    const policy = policyManifest('shop', 'half', { action: 'DENY', ...DATABASE, rules });
    const served = ['orders', 'frontend', 'stranger'] as const;
    return matrix.inForce([policy], { 'database:8080': served, 'database:8081': served }, async () => {
      assert.match((await conditionOf('half')).message!, /methods.*more is refused than was asked for/);
    });
  });

  test('an ALLOW rule that asks for HTTP is left out, and its status says so', () => {
    const rules = [
      { ...from({ principals: [ORDERS] }), to: [{ operation: { methods: ['GET'] } }] },
      from({ namespaces: ['other'] }),
    ];
    const policy = policyManifest('shop', 'read', { ...DATABASE, rules });
    const served = ['visitor'] as const;
    return matrix.inForce([policy], { 'database:8080': served, 'database:8081': served }, async () => {
      const { status, message } = await conditionOf('read');
      assert.equal(status, 'False');
      assert.match(message!, /methods.*1 of 2 rules are left out: more is refused/);
    });
  });

  test('an action that node proxies do not know is not enforced, and its status says so', () => {
    const spec = { action: 'CUSTOM', provider: { name: 'ext' }, rules: [{}] };
    return matrix.inForce([policyManifest('shop', 'custom', spec)], {}, async () => {
      const { status, message } = await conditionOf('custom');
      assert.equal(status, 'False');
      assert.match(message!, /does not support the CUSTOM action/);
    });
  });
});
