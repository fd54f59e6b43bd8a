/** The node agent and its CNI plugin: nobody who belongs into the mesh runs outside of it, and nobody else is kept waiting. */

import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { Cluster } from '../support/cluster/cluster.ts';
import { clusterPod, toolsContainer } from '../support/cluster/cluster-manifests.ts';
import { isReady, type ListOf } from '../support/cluster/cluster-objects.ts';
import { runCommand, tryCommand } from '../support/cluster/command.ts';
import { MESH_NAMESPACE, Mesh } from '../support/cluster/mesh.ts';
import { AMBIENT, HTTP_PORT, type Manifest, namespaceManifest, TCP_PORT } from '../support/mesh-manifests.ts';

const MESHED = 'cni-meshed';
const PLAIN = 'cni-plain';
const CONF_DIR = '/etc/cni/net.d';
const BIN_DIR = '/opt/cni/bin';
const IDENTITY = `spiffe://cluster.local/ns/${MESHED}/sa/default`;

interface PodEvent {
  readonly note?: string;
  readonly regarding: { readonly name: string };
}

describe('the node agent', () => {
  let cluster: Cluster;
  let mesh: Mesh;
  let server: string;

  before(async () => {
    cluster = Cluster.current();
    mesh = new Mesh(cluster);
    await mesh.ready();
    await cluster.apply(namespaceManifest(MESHED, AMBIENT), namespaceManifest(PLAIN));
    await cluster.apply(clusterPod({ name: 'server', namespace: MESHED, node: 'node1' }));
    server = await cluster.podIp(MESHED, (await cluster.podReady(MESHED, 'server')).metadata.name);
    await mesh.enrolled(MESHED);
  });
  after(async () => {
    for (const namespace of [MESHED, PLAIN]) await cluster.deleteNamespace(namespace);
    cluster.dispose();
  });

  /** Calls the server before anything else, and again whenever it is started again. */
  function callerPod(name: string, node: string, overrides: Manifest = {}): Manifest {
    const call = `curl --silent --fail --max-time 20 http://${server}:${HTTP_PORT}/`;
    return clusterPod({
      name,
      namespace: MESHED,
      node,
      container: toolsContainer({ command: ['bash', '-c', `${call} && exec sleep infinity`] }),
      spec: {
        initContainers: [toolsContainer({ name: 'first', command: ['bash', '-c', call] })],
        ...overrides,
      },
    });
  }

  /** Every call that the server's proxy has seen from these addresses. */
  async function callsFrom(addresses: readonly string[]) {
    const lines = await mesh.log('node1');
    return lines.filter(
      ({ scope, fields }) =>
        scope === 'access' &&
        fields.direction === 'inbound' &&
        addresses.some((address) => fields['src.addr']?.startsWith(`${address}:`)),
    );
  }

  async function confOn(node: string): Promise<[string, { plugins: { type: string }[] }]> {
    const [name = ''] = (await cluster.nodes.run(node, 'ls', CONF_DIR)).split('\n');
    return [name, JSON.parse(await cluster.nodes.run(node, 'cat', `${CONF_DIR}/${name}`))];
  }

  async function isInstalled(node: string): Promise<boolean> {
    return (await confOn(node))[1].plugins.some(({ type }) => type === 'ambit-cni');
  }

  test('a new pod is in the mesh from the first call of its first init container', async () => {
    await cluster.apply(callerPod('early', 'node2'));
    const { status } = await cluster.podReady(MESHED, 'early');
    await cluster.until(
      'both calls in the access log',
      async () => (await callsFrom([status.podIP!])).length >= 2,
    );
    for (const { fields } of await callsFrom([status.podIP!])) assert.equal(fields['src.identity'], IDENTITY);
  });

  test('a pod that is made right behind the label of its namespace is in the mesh from its first call on', async () => {
    const names = [1, 2, 3, 4].map((number) => `cni-fresh-${number}`);
    await cluster.apply(...names.map((name) => namespaceManifest(name)));
    await cluster.until('service accounts', async () => {
      const paths = names.map((name) => `/api/v1/namespaces/${name}/serviceaccounts/default`);
      return (await Promise.all(paths.map((path) => cluster.api.find(path)))).every(
        (one) => one !== undefined,
      );
    });
    for (const namespace of names) {
      const body = { ...callerPod('eager', 'node2'), metadata: { name: 'eager', namespace } };
      await cluster.label(namespace, AMBIENT);
      await cluster.api.request({ method: 'POST', path: `/api/v1/namespaces/${namespace}/pods`, body });
    }
    for (const namespace of names) {
      const { status } = await cluster.podReady(namespace, 'eager');
      const calls = await cluster.until('calls in the access log', async () => {
        const seen = await callsFrom([status.podIP!]);
        return seen.length >= 2 && seen;
      });
      const identity = `spiffe://cluster.local/ns/${namespace}/sa/default`;
      for (const { fields } of calls) assert.equal(fields['src.identity'], identity);
      await cluster.deleteNamespace(namespace);
    }
  });

  test('what somebody takes away from the plugin or its configuration is put back', async () => {
    const node = 'node2';
    const [name, conf] = await confOn(node);
    const plugins = conf.plugins.filter(({ type }) => type !== 'ambit-cni');
    const input = JSON.stringify({ ...conf, plugins });
    const damages: readonly (readonly [string, string])[] = [
      [`cat > ${CONF_DIR}/${name}`, input],
      [`rm ${BIN_DIR}/ambit-cni`, ''],
      [`rm -r ${BIN_DIR}/.ambit-cni-*`, ''],
    ];
    for (const [damage, text] of damages) {
      await runCommand(cluster.nodes.enter(node, 'sh', '-c', damage), { input: text });
      await cluster.until(`repaired after ${damage}`, async () => {
        const answer = await tryCommand(
          cluster.nodes.enter(node, 'env', 'CNI_COMMAND=VERSION', `${BIN_DIR}/ambit-cni`),
          { input: '{"cniVersion":"1.0.0"}' },
        );
        return answer.code === 0 && (await isInstalled(node));
      });
    }
  });

  test('while no agent runs on a node pods of the mesh wait there, and all others start', async () => {
    const agent = 'daemonset/ambit-cni';
    const image = (name: string) => ({
      spec: { template: { spec: { containers: [{ name: 'cni', image: name }] } } },
    });
    const path = `/apis/apps/v1/namespaces/${MESH_NAMESPACE}/daemonsets/ambit-cni`;
    const { spec } = await cluster.api.get<{
      spec: { template: { spec: { containers: { image: string }[] } } };
    }>(path);
    const patch = (name: string) =>
      cluster.kubectl([
        ...['--namespace', MESH_NAMESPACE, 'patch', agent],
        ...['--patch', JSON.stringify(image(name))],
      ]);
    await patch('ambit:no-such-version');
    try {
      const node = await cluster.until('a node without an agent', async () => {
        const agents = await mesh.pods('cni');
        const broken = agents.find((pod) => !isReady(pod) && pod.metadata.deletionTimestamp === undefined);
        return broken?.spec.nodeName;
      });
      await cluster.apply(
        callerPod('waiting', node),
        clusterPod({ name: 'unaffected', namespace: PLAIN, node, container: toolsContainer() }),
      );
      await cluster.podReady(PLAIN, 'unaffected');
      await cluster.until('kubelet says why the pod waits', async () => {
        const events = await cluster.api.get<ListOf<PodEvent>>(
          `/apis/events.k8s.io/v1/namespaces/${MESHED}/events`,
        );
        return events.items.some(
          ({ regarding, note = '' }) => regarding.name === 'waiting' && /node agent of Ambit/.test(note),
        );
      });
      assert.equal((await cluster.pod(MESHED, 'waiting')).status.podIP, undefined);
    } finally {
      await patch(spec.template.spec.containers[0]!.image);
    }
    await cluster.rolledOut(MESH_NAMESPACE, agent);
    const { status } = await cluster.podReady(MESHED, 'waiting');
    for (const { fields } of await callsFrom([status.podIP!])) assert.equal(fields['src.identity'], IDENTITY);
  });

  test('an agent that is killed is followed by the next one, and no connection and no new pod suffers', async () => {
    await cluster.apply(
      clusterPod({ name: 'talker', namespace: MESHED, node: 'node2', container: toolsContainer() }),
    );
    await cluster.podReady(MESHED, 'talker');
    await mesh.enrolled(MESHED);
    const connection = await (await cluster.callerIn(MESHED, 'talker')).open(server, TCP_PORT);
    await connection.exchange('before');
    const agent = await mesh.podOn('cni', 'node2');
    const restarts = agent.status.containerStatuses![0]!.restartCount;
    await cluster.killContainer(agent);
    await cluster.apply(callerPod('late', 'node2'));
    const { status } = await cluster.podReady(MESHED, 'late');
    await cluster.until('the agent runs again', async () => {
      const next = await cluster.pod(MESH_NAMESPACE, agent.metadata.name);
      return isReady(next) && next.status.containerStatuses![0]!.restartCount > restarts;
    });
    for (const { fields } of await callsFrom([status.podIP!])) assert.equal(fields['src.identity'], IDENTITY);
    assert.equal(await connection.exchange('after'), 'after');
    await connection.close();
  });

  test('a configuration of our own keeps off the network’s, and the taint goes when the agent is ready', async () => {
    const node = 'node2';
    const [name] = await confOn(node);
    const setAgent = async (value: string) => {
      const variables = [`OWN_CONFLIST=${value}`, `REMOVE_TAINT=${value}`];
      await cluster.kubectl([
        '--namespace',
        MESH_NAMESPACE,
        'set',
        'env',
        'daemonset/ambit-cni',
        ...variables,
      ]);
      await cluster.rolledOut(MESH_NAMESPACE, 'daemonset/ambit-cni');
    };
    const rights = join(import.meta.dirname, '../../daemonset/components/node-taint/rbac.yaml');
    await cluster.kubectl(['apply', '--server-side', '--filename', rights]);
    await cluster.kubectl(['taint', 'node', node, 'ambit.io/agent-not-ready:NoSchedule']);
    await setAgent('true');
    const files = async () => (await cluster.nodes.run(node, 'ls', CONF_DIR)).trim().split('\n');
    await cluster.until('our own file', async () => (await files()).includes('02-ambit-cni.conflist'));
    assert.doesNotMatch(await cluster.nodes.run(node, 'cat', `${CONF_DIR}/${name}`), /ambit-cni/);
    await cluster.until('the taint is gone', async () => {
      const { spec } = await cluster.api.get<{ spec: { taints?: { key: string }[] } }>(
        `/api/v1/nodes/${node}`,
      );
      return !spec.taints?.some(({ key }) => key === 'ambit.io/agent-not-ready');
    });
    await cluster.apply(callerPod('beside', node));
    const { status } = await cluster.podReady(MESHED, 'beside');
    for (const { fields } of await callsFrom([status.podIP!])) assert.equal(fields['src.identity'], IDENTITY);
    await setAgent('false');
    await cluster.kubectl(['delete', '--filename', rights]);
    await cluster.until(
      'our own file is gone',
      async () => !(await files()).includes('02-ambit-cni.conflist'),
    );
    assert.ok(await isInstalled(node));
  });

  test('after a reboot of the node its pods are in the mesh from their first call on', async () => {
    await cluster.apply(callerPod('rebooted', 'node3', { initContainers: [] }));
    const before = (await cluster.podReady(MESHED, 'rebooted')).status.podIP!;
    // Ready is whoever has been started: the power may go before the call is made.
    await cluster.until('a call before', async () => (await callsFrom([before])).length > 0);
    const restarts = (await cluster.pod(MESHED, 'rebooted')).status.containerStatuses![0]!.restartCount;
    await cluster.nodes.reboot('node3');
    const { status } = await cluster.until('the pod has been started again', async () => {
      const pod = await cluster.pod(MESHED, 'rebooted');
      return isReady(pod) && pod.status.containerStatuses![0]!.restartCount > restarts && pod;
    });
    await mesh.ready();
    const calls = await cluster.until('a call after', async () => {
      const seen = await callsFrom([before, status.podIP!]);
      return seen.length >= 2 && seen;
    });
    for (const { fields } of calls) assert.equal(fields['src.identity'], IDENTITY);
    await mesh.enrolled(MESHED);
  });

  test('a removal takes everything off the nodes, and pods that run then are taken up by the next installation', async () => {
    const path = `/apis/apps/v1/namespaces/${MESH_NAMESPACE}/daemonsets/ambit-cni`;
    const { metadata, spec } = await cluster.api.get<{ metadata: Manifest; spec: Manifest }>(path);
    await cluster.kubectl(['--namespace', MESH_NAMESPACE, 'delete', 'daemonset/ambit-cni']);
    await cluster.until('no agent is left', async () => (await mesh.pods('cni')).length === 0);
    for (const node of ['node1', 'node2', 'node3']) {
      const files = await cluster.nodes.run(node, 'sh', '-c', `ls -A ${BIN_DIR} /var/run/istio-cni`);
      assert.doesNotMatch(files, /ambit|pluginevent/);
      assert.equal(await isInstalled(node), false);
      const rules = await cluster.nodes.run(node, 'sh', '-c', 'iptables-save; ip6tables-save');
      assert.doesNotMatch(rules, /ISTIO|istio/);
      assert.doesNotMatch(await cluster.nodes.run(node, 'ipset', 'list', '-name'), /istio/);
    }
    const pods = await cluster.pods(MESHED);
    assert.ok(
      pods.every(({ metadata: one }) => one.annotations?.['ambient.istio.io/redirection'] === undefined),
    );
    const { containerStatuses } = (await cluster.pod(MESHED, 'server')).status;
    const pid = cluster.nodes.pidOf('node1', containerStatuses![0]!.containerID!);
    for (const save of ['iptables-save', 'ip6tables-save']) {
      const rules = await runCommand(['nsenter', `--net=/proc/${pid}/ns/net`, save]);
      assert.doesNotMatch(rules, /ISTIO/);
    }

    const { labels } = metadata as { labels: Manifest };
    const again = { name: 'ambit-cni', namespace: MESH_NAMESPACE, labels };
    const manifest = { apiVersion: 'apps/v1', kind: 'DaemonSet', metadata: again, spec };
    // As an installation does, so that an upgrade later on meets fields of its own.
    await cluster.kubectl(['apply', '--server-side', '--field-manager=ambit', '--filename=-'], {
      input: JSON.stringify(manifest),
    });
    await mesh.ready();
    await mesh.enrolled(MESHED);
  });
});
