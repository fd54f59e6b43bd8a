/** The pods of the mesh's own processes, as its manifests would describe them for a real cluster. */

import { apiVersionOf, type ObjectDraft } from '../api/object-store.ts';
import type { MeshComponent } from '../client/sandbox-protocol.ts';
import { SYSTEM_NAMESPACE } from '../daemon/built-in-objects.ts';
import type { StatePaths } from '../daemon/sandbox-config.ts';
import { CLUSTER_DOMAIN, type IpFamilies } from '../network/address-plan.ts';

export const CLUSTER_ID = 'Kubernetes';
export const TRUST_DOMAIN = 'cluster.local';

/** Where everything of the mesh listens; the numbers are Istio's. */
export const MESH_PORTS = {
  xds: 15012,
  controlPlaneHttp: 15014,
  cniHealth: 8000,
  cniMetrics: 15014,
  ztunnelAdmin: 15000,
  ztunnelMetrics: 15020,
  ztunnelReadiness: 15021,
} as const;

export const CONTROL_PLANE_HOST = `ambit-controlplane.${SYSTEM_NAMESPACE}.svc`;

/** A ztunnel drains for half of it. */
const GRACE_SECONDS = 10;

interface PodPlan {
  readonly component: MeshComponent;
  readonly name: string;
  readonly node: string;
  readonly uid: string;
  readonly hostNetwork: boolean;
  readonly container: Readonly<Record<string, unknown>>;
}

/** On `app` services and `restart` find the pods; with `part-of` the agent knows what must stay out of the mesh. */
export function meshLabels(component: MeshComponent): Readonly<Record<string, string>> {
  return {
    app: component,
    'app.kubernetes.io/name': `ambit-${component}`,
    'app.kubernetes.io/part-of': 'ambit',
  };
}

export function controlPlaneService(families: IpFamilies): ObjectDraft {
  const ports = [
    { name: 'grpc-xds', port: MESH_PORTS.xds },
    { name: 'http-monitoring', port: MESH_PORTS.controlPlaneHttp },
  ];
  return {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name: 'ambit-controlplane', namespace: SYSTEM_NAMESPACE, labels: meshLabels('controlplane') },
    spec: {
      selector: { app: 'controlplane' },
      ports,
      ...(families === 'dual' ? { ipFamilyPolicy: 'PreferDualStack' } : {}),
    },
  };
}

export function serviceAccount(name: string): ObjectDraft {
  const metadata = { name, namespace: SYSTEM_NAMESPACE };
  return { apiVersion: apiVersionOf('ServiceAccount', ''), kind: 'ServiceAccount', metadata };
}

/** The control plane has a pod network of its own, and is found as any service. */
export function controlPlanePod(node: string, uid: string, paths: StatePaths): ObjectDraft {
  return meshPod({
    component: 'controlplane',
    name: 'controlplane',
    node,
    uid,
    hostNetwork: false,
    container: {
      image: 'ambit/ambit',
      args: [
        'controlplane',
        ...['--objects', paths.objects],
        ...['--listen', `[::]:${MESH_PORTS.xds}`],
        ...['--http', `[::]:${MESH_PORTS.controlPlaneHttp}`],
        ...['--ca-dir', paths.authority],
        ...['--token-key', paths.tokenKey],
        ...['--trust-domain', TRUST_DOMAIN],
        ...['--cluster-id', CLUSTER_ID],
        ...['--serving-name', CONTROL_PLANE_HOST],
      ],
      readinessProbe: { httpGet: { path: '/readyz', port: MESH_PORTS.controlPlaneHttp }, periodSeconds: 1 },
    },
  });
}

/** The agent works on the node itself. */
export function cniPod(node: string, uid: string, paths: StatePaths): ObjectDraft {
  return meshPod({
    component: 'cni',
    name: `cni-${node}`,
    node,
    uid,
    hostNetwork: true,
    container: {
      image: 'ambit/ambit',
      args: [
        'cni',
        ...['--objects', paths.objects],
        ...['--node', node],
        ...['--zds', paths.zdsSocket(node)],
        ...['--plugin-socket', paths.pluginSocket(node)],
        ...['--netns-dir', paths.netns(node)],
        ...['--health-port', String(MESH_PORTS.cniHealth)],
        ...['--metrics-port', String(MESH_PORTS.cniMetrics)],
      ],
      readinessProbe: { httpGet: { path: '/readyz', port: MESH_PORTS.cniHealth }, periodSeconds: 1 },
    },
  });
}

export interface ZtunnelPlan {
  readonly node: string;
  readonly uid: string;
  readonly paths: StatePaths;
  readonly xdsAddress: string;
  readonly ipv6: boolean;
  /** A program in place of ours. */
  readonly command: string | undefined;
}

/**
 * The node proxy, in the network of its node. Another program gets the same environment; whether it tells its
 * readiness, and where, is not known of it.
 */
export function ztunnelPod(plan: ZtunnelPlan): ObjectDraft {
  const { node, uid, paths, command } = plan;
  const own = {
    image: 'ambit/ambit',
    args: ['ztunnel'],
    readinessProbe: {
      httpGet: { path: '/healthz/ready', port: MESH_PORTS.ztunnelReadiness },
      periodSeconds: 1,
    },
  };
  return meshPod({
    component: 'ztunnel',
    name: `ztunnel-${node}`,
    node,
    uid,
    hostNetwork: true,
    container: {
      ...(command === undefined ? own : { image: 'host', command: ['sh', '-c', command] }),
      workingDir: paths.ztunnel(node),
      env: ztunnelEnvironment(plan),
    },
  });
}

/** Files below the working directory of a ztunnel, where Istio's looks for them unless told otherwise. */
export const TOKEN_FILE = 'var/run/secrets/tokens/istio-token';
export const ROOT_FILE = 'var/run/secrets/istio/root-cert.pem';

/** The names are those that Istio's ztunnel reads, so that it would start with them. */
function ztunnelEnvironment({ xdsAddress, paths, node, ipv6 }: ZtunnelPlan): readonly object[] {
  const field = (name: string, fieldPath: string) => ({ name, valueFrom: { fieldRef: { fieldPath } } });
  const values: Readonly<Record<string, string>> = {
    XDS_ADDRESS: xdsAddress,
    CA_ADDRESS: xdsAddress,
    XDS_ROOT_CA: `./${ROOT_FILE}`,
    CA_ROOT_CA: `./${ROOT_FILE}`,
    CLUSTER_ID,
    CLUSTER_DOMAIN,
    TRUST_DOMAIN,
    NETWORK: '',
    PROXY_MODE: 'shared',
    INPOD_ENABLED: 'true',
    INPOD_UDS: paths.zdsSocket(node),
    ISTIO_META_DNS_CAPTURE: 'true',
    ISTIO_META_DNS_PROXY_ADDR: '127.0.0.1:15053',
    IPV6_ENABLED: String(ipv6),
    TERMINATION_GRACE_PERIOD_SECONDS: String(GRACE_SECONDS),
  };
  return [
    ...Object.entries(values).map(([name, value]) => ({ name, value })),
    field('NODE_NAME', 'spec.nodeName'),
    field('POD_NAME', 'metadata.name'),
    field('POD_NAMESPACE', 'metadata.namespace'),
    field('INSTANCE_IP', 'status.podIP'),
    field('SERVICE_ACCOUNT', 'spec.serviceAccountName'),
  ];
}

/** The same pod with more in the environment of its containers; what they have already comes later, and wins. */
export function withEnvironment(pod: ObjectDraft, env: Readonly<Record<string, string>>): ObjectDraft {
  const more = Object.entries(env).map(([name, value]) => ({ name, value }));
  const { containers, ...spec } = pod.spec as MeshPodSpec;
  return {
    ...pod,
    spec: { ...spec, containers: containers.map((one) => ({ ...one, env: [...more, ...(one.env ?? [])] })) },
  };
}

interface MeshPodSpec {
  readonly containers: readonly { readonly env?: readonly object[] }[];
}

function meshPod({ component, name, node, uid, hostNetwork, container }: PodPlan): ObjectDraft {
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name, namespace: SYSTEM_NAMESPACE, uid, labels: meshLabels(component) },
    spec: {
      nodeName: node,
      hostNetwork,
      serviceAccountName: component,
      terminationGracePeriodSeconds: GRACE_SECONDS,
      containers: [{ name: component, ...container }],
    },
  };
}
