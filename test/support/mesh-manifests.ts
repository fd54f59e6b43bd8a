/** Objects for tests of the whole mesh, as a user would apply them. */

export type Manifest = Readonly<Record<string, unknown>>;
type Labels = Readonly<Record<string, string>>;

export const AMBIENT: Labels = { 'istio.io/dataplane-mode': 'ambient' };
/** Where every echo server of these tests listens. */
export const HTTP_PORT = 8080;
export const TCP_PORT = 9000;

export function namespaceManifest(name: string, labels: Labels = {}): Manifest {
  return { apiVersion: 'v1', kind: 'Namespace', metadata: { name, labels } };
}

export interface PodPlan {
  readonly name: string;
  readonly namespace: string;
  readonly node?: string;
  readonly labels?: Labels;
  readonly annotations?: Labels;
  /** The pod's own name unless given. */
  readonly serviceAccount?: string;
  /** Instead of the echo server with its readiness probe. */
  readonly container?: Manifest;
  readonly spec?: Manifest;
}

const ECHO: Manifest = {
  image: 'ambit/echo',
  args: ['--http', String(HTTP_PORT), '--tcp', String(TCP_PORT)],
  readinessProbe: { tcpSocket: { port: HTTP_PORT }, periodSeconds: 1 },
};

/** An echo server under the label app=NAME. */
export function podManifest(plan: PodPlan): Manifest {
  const { name, namespace, node, labels, annotations, serviceAccount, container, spec } = plan;
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name, namespace, labels: { app: name, ...labels }, ...(annotations && { annotations }) },
    spec: {
      ...(node === undefined ? {} : { nodeName: node }),
      serviceAccountName: serviceAccount ?? name,
      terminationGracePeriodSeconds: 1,
      containers: [{ name: 'app', ...(container ?? ECHO) }],
      ...spec,
    },
  };
}

/** A pod that only calls others. */
export function clientManifest(plan: Omit<PodPlan, 'container'>): Manifest {
  return podManifest({ ...plan, container: { image: 'host', command: ['sleep', 'infinity'] } });
}

export interface ServicePlan {
  readonly name: string;
  readonly namespace: string;
  /** Of the label `app` of its pods; the service's own name unless given, null for none. */
  readonly app?: string | null;
  readonly labels?: Labels;
  readonly headless?: boolean;
  readonly families?: 'single' | 'dual';
  readonly port?: number;
  readonly targetPort?: number | string;
}

export function serviceManifest(plan: ServicePlan): Manifest {
  const { name, namespace, app = name, labels, headless, families = 'dual' } = plan;
  const port = plan.port ?? (headless ? HTTP_PORT : 80);
  return {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name, namespace, ...(labels && { labels }) },
    spec: {
      ...(app === null ? {} : { selector: { app } }),
      ...(headless ? { clusterIP: 'None' } : {}),
      ipFamilyPolicy: families === 'dual' ? 'PreferDualStack' : 'SingleStack',
      ports: [{ name: 'http', port, targetPort: plan.targetPort ?? HTTP_PORT }],
    },
  };
}

/** An AuthorizationPolicy. */
export function policyManifest(
  namespace: string,
  name: string,
  spec: Manifest,
  annotations: Labels = {},
): Manifest {
  const metadata = { name, namespace, annotations };
  return { apiVersion: 'security.istio.io/v1', kind: 'AuthorizationPolicy', metadata, spec };
}

export function peerAuthenticationManifest(namespace: string, name: string, spec: Manifest): Manifest {
  const metadata = { name, namespace };
  return { apiVersion: 'security.istio.io/v1', kind: 'PeerAuthentication', metadata, spec };
}
