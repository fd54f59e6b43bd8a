/** Names as pods of the mesh see them: services in every spelling, headless ones, entries for the world outside. */

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import {
  AMBIENT,
  clientManifest,
  HTTP_PORT,
  type Manifest,
  namespaceManifest,
  podManifest,
  serviceManifest,
} from '../support/mesh-manifests.ts';
import { addressesIn, type PodCaller } from '../support/pod-caller.ts';
import { sumOf } from '../support/proxy-telemetry.ts';
import { until } from '../support/sandbox-commands.ts';
import { SandboxSession } from '../support/sandbox-session.ts';

const DOMAIN = 'svc.cluster.local';
const WEB = `web.shop.${DOMAIN}`;
const NXDOMAIN = 3;

/** Never ready. */
const SHY: Manifest = {
  image: 'ambit/echo',
  args: ['--http', String(HTTP_PORT)],
  readinessProbe: { exec: { command: ['false'] }, periodSeconds: 1 },
};

const asker = { namespace: 'shop', node: 'node1' } as const;
const MANIFESTS: readonly Manifest[] = [
  namespaceManifest('shop', AMBIENT),
  namespaceManifest('other', AMBIENT),
  namespaceManifest('plain'),
  clientManifest({ ...asker, name: 'asker' }),
  clientManifest({ ...asker, name: 'by-itself', annotations: { 'ambient.istio.io/dns-capture': 'false' } }),
  clientManifest({
    ...asker,
    name: 'searcher',
    spec: {
      dnsPolicy: 'None',
      dnsConfig: {
        nameservers: ['10.96.0.10'],
        searches: ['corp.example'],
        options: [{ name: 'ndots', value: '5' }],
      },
    },
  }),
  podManifest({ name: 'web-1', namespace: 'shop', node: 'node1', labels: { app: 'web' } }),
  podManifest({ name: 'web-2', namespace: 'shop', node: 'node2', labels: { app: 'web' } }),
  podManifest({ name: 'store', namespace: 'other', node: 'node2' }),
  podManifest({ name: 'outside', namespace: 'plain', node: 'node2' }),
  serviceManifest({ name: 'web', namespace: 'shop' }),
  serviceManifest({ name: 'web-headless', namespace: 'shop', app: 'web', headless: true }),
  serviceManifest({ name: 'old', namespace: 'shop', app: 'web', families: 'single' }),
  serviceManifest({ name: 'store', namespace: 'other' }),
  serviceManifest({ name: 'outside', namespace: 'plain' }),
  {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name: 'elsewhere', namespace: 'shop' },
    spec: { type: 'ExternalName', externalName: WEB },
  },
];

function serviceEntry(host: string, resolution: 'STATIC' | 'DNS', address: string): Manifest {
  return {
    apiVersion: 'networking.istio.io/v1',
    kind: 'ServiceEntry',
    metadata: { name: host.replaceAll('.', '-'), namespace: 'shop' },
    spec: {
      hosts: [host],
      resolution,
      location: 'MESH_EXTERNAL',
      ports: [
        { number: 80, name: 'http', protocol: 'TCP', targetPort: resolution === 'DNS' ? 80 : HTTP_PORT },
      ],
      endpoints: [{ address }],
    },
  };
}

describe('names in a mesh', () => {
  let session: SandboxSession;
  let caller: PodCaller;
  /** Both addresses of the service `web`. */
  let vips: readonly string[];

  before(async () => {
    session = await SandboxSession.start({ name: 'dns', manifests: MANIFESTS });
    await session.enrolled('shop');
    await session.enrolled('other');
    caller = await session.callerIn('shop', 'asker');
    vips = [await session.clusterIp('shop', 'web', 4), await session.clusterIp('shop', 'web', 6)];
  });
  after(() => session?.dispose());

  /** Queries of a pod that its proxy took, or that it asked the cluster’s DNS. */
  async function counted(
    what: 'requests' | 'upstream_requests',
    pod: string,
    type?: string,
  ): Promise<number> {
    const labels = { source_canonical_service: pod, ...(type && { request_query_type: type }) };
    return sumOf(await session.metrics('node1'), `istio_dns_${what}_total`, labels);
  }

  test('a service answers to its name of one, two, three and five labels, over UDP and TCP', async () => {
    const upstream = await counted('upstream_requests', 'asker');
    for (const name of ['web', 'web.shop', `web.shop.svc`, WEB, WEB.toUpperCase()]) {
      for (const transport of ['udp', 'tcp'] as const) {
        assert.deepEqual(addressesIn(await caller.query(name, 'A', transport)), [vips[0]], name);
        assert.deepEqual(addressesIn(await caller.query(name, 'AAAA', transport)), [vips[1]], name);
      }
    }
    assert.equal(await counted('upstream_requests', 'asker'), upstream, 'nobody else has been asked');
  });

  test('four labels are not the name of a service', async () => {
    assert.equal((await caller.query('web.shop.svc.cluster', 'A')).rcode, NXDOMAIN);
  });

  test('a name that the pod’s resolver completes from its search list leads to the service as well', async () => {
    for (const name of ['web', 'web.shop', 'web.shop.svc', WEB, `${WEB}.`]) {
      assert.deepEqual([...(await caller.lookup(name))].sort(), [...vips].sort(), name);
      assert.equal((await caller.echo(`http://${name}/`)).name.slice(0, 4), 'web-');
    }
    assert.deepEqual(await caller.lookup('store'), [], 'it is in another namespace');
    assert.equal((await caller.echo('http://store.other/')).name, 'store');
    const { records } = await caller.query(`${WEB}.shop.${DOMAIN}`, 'A');
    assert.deepEqual(records[0], { type: 'CNAME', name: `${WEB}.shop.${DOMAIN}`, data: WEB });
  });

  test('a headless service has the addresses of its ready pods, also while they come and go', async () => {
    const name = `web-headless.shop.${DOMAIN}`;
    const expected = async (family: 4 | 6, ...pods: readonly string[]) =>
      (await Promise.all(pods.map((pod) => session.podIp('shop', pod, family)))).sort();
    const answers = async (type: 'A' | 'AAAA') => addressesIn(await caller.query(name, type));
    assert.deepEqual(await answers('A'), await expected(4, 'web-1', 'web-2'));
    assert.deepEqual(await answers('AAAA'), await expected(6, 'web-1', 'web-2'));

    const shy = podManifest({ name: 'web-3', namespace: 'shop', labels: { app: 'web' }, container: SHY });
    const third = podManifest({ name: 'web-4', namespace: 'shop', labels: { app: 'web' } });
    await session.apply(shy, third);
    const all = await until('the pods have addresses', async () => {
      const pods = await session.pods('shop');
      return pods.every((pod) => pod.status.podIP !== undefined) && expected(4, 'web-1', 'web-2', 'web-4');
    });
    await until('the new ready pod is known', async () => String(await answers('A')) === String(all));
    await session.remove(shy, third);
    const two = await expected(4, 'web-1', 'web-2');
    await until('it is forgotten', async () => String(await answers('A')) === String(two));
  });

  test('a service without IPv6 has an empty answer to AAAA, and nobody else is asked for it', async () => {
    const upstream = await counted('upstream_requests', 'asker', 'AAAA');
    for (const name of ['old', 'old.shop', `old.shop.${DOMAIN}`]) {
      for (const transport of ['udp', 'tcp'] as const) {
        const { rcode, records } = await caller.query(name, 'AAAA', transport);
        assert.deepEqual([rcode, addressesIn({ rcode, records })], [0, []], name);
      }
    }
    assert.equal(await counted('upstream_requests', 'asker', 'AAAA'), upstream);
    assert.deepEqual(await caller.lookup('old'), [await session.clusterIp('shop', 'old')]);
  });

  test('what the mesh does not know is asked of the cluster’s DNS, over UDP and TCP', async () => {
    const upstream = await counted('upstream_requests', 'asker');
    for (const transport of ['udp', 'tcp'] as const) {
      assert.equal((await caller.query('example.com', 'A', transport)).rcode, NXDOMAIN);
      const alias = await caller.query(`elsewhere.shop.${DOMAIN}`, 'A', transport);
      assert.equal(alias.records[0]?.data, WEB);
      assert.deepEqual(addressesIn(alias), [vips[0]]);
      assert.equal((await caller.query(WEB, 'TXT', transport)).rcode, 0);
    }
    assert.equal(await counted('upstream_requests', 'asker'), upstream + 6);
    assert.deepEqual(await caller.lookup('example.com'), []);
    const dashed = (await session.podIp('shop', 'web-1')).replaceAll('.', '-');
    assert.deepEqual(await caller.lookup(`${dashed}.web-headless.shop`, 4), [
      await session.podIp('shop', 'web-1'),
    ]);
  });

  test('a pod that keeps its own DNS asks the cluster itself, and its calls are mutual TLS all the same', async () => {
    const other = await session.callerIn('shop', 'by-itself');
    assert.equal((await other.query('web', 'A')).rcode, NXDOMAIN, 'only the mesh knows this short form');
    assert.equal((await other.echo('http://web/')).source.ip.length > 0, true);
    assert.equal(await counted('requests', 'by-itself'), 0);
    const labels = {
      reporter: 'source',
      source_workload: 'by-itself',
      connection_security_policy: 'mutual_tls',
    };
    assert.equal(sumOf(await session.metrics('node1'), 'istio_tcp_connections_opened_total', labels), 1);
  });

  test('a new service is found as soon as it is there', async () => {
    const fresh = serviceManifest({ name: 'fresh', namespace: 'shop', app: 'web' });
    assert.deepEqual(await caller.lookup('fresh'), []);
    await session.apply(fresh);
    await until('the name leads to a pod', async () => (await caller.outcome('http://fresh/')) === 'ok');
    await session.remove(fresh);
    await until('the name is forgotten', async () => (await caller.lookup('fresh')).length === 0);
  });

  test('a host outside gets addresses of the mesh by which it is found and reached, in any search list', async () => {
    const entry = serviceEntry('api.example.com', 'STATIC', await session.podIp('plain', 'outside'));
    await session.apply(entry);
    const [v4, v6] = await until('both addresses are in DNS', async () => {
      const a = addressesIn(await caller.query('api.example.com', 'A'));
      const aaaa = addressesIn(await caller.query('api.example.com', 'AAAA'));
      return a.length === 1 && aaaa.length === 1 && ([a[0]!, aaaa[0]!] as const);
    });
    assert.match(v4, /^240\.240\./);
    assert.match(v6, /^2001:2:/);
    for (const target of ['api.example.com', v4, `[${v6}]`]) {
      assert.equal((await caller.echo(`http://${target}/`)).name, 'outside', target);
    }
    const labels = { source_workload: 'asker', destination_service: 'api.example.com' };
    assert.equal(sumOf(await session.metrics('node1'), 'istio_tcp_connections_opened_total', labels), 3);

    const searcher = await session.callerIn('shop', 'searcher');
    const expanded = 'api.example.com.corp.example';
    assert.deepEqual(addressesIn(await searcher.query(expanded, 'A')), [v4]);
    assert.equal((await searcher.echo('http://api.example.com/')).name, 'outside');
    assert.equal((await caller.query(expanded, 'A')).rcode, NXDOMAIN, 'that domain is another pod’s');
  });

  test('a host outside may be a name itself, which the proxy looks up', async () => {
    await session.apply(serviceEntry('named.example.com', 'DNS', `outside.plain.${DOMAIN}`));
    const answer = await until('it is reached', async () => {
      if ((await caller.lookup('named.example.com')).length === 0) return undefined;
      return caller.echo('http://named.example.com/');
    });
    assert.equal(answer.name, 'outside');
  });
});
