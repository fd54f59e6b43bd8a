/** What the parts of the mesh are called in a cluster. */

export const DEFAULT_MESH_NAMESPACE = 'ambit-system';
export const CONTROL_PLANE = 'ambit-controlplane';
export const AGENT = 'ambit-cni';
export const PROXY = 'ambit-ztunnel';

export const PART_OF_LABEL = 'app.kubernetes.io/part-of';
export const COMPONENT_LABEL = 'app.kubernetes.io/component';
export const VERSION_LABEL = 'app.kubernetes.io/version';
export const PART_OF_SELECTOR = `${PART_OF_LABEL}=ambit`;

export type Component = 'controlplane' | 'cni' | 'ztunnel';

/** In this order they are looked at, and upgraded. */
export const COMPONENTS: readonly {
  readonly component: Component;
  readonly name: string;
  readonly kind: string;
}[] = [
  { component: 'controlplane', name: CONTROL_PLANE, kind: 'Deployment' },
  { component: 'cni', name: AGENT, kind: 'DaemonSet' },
  { component: 'ztunnel', name: PROXY, kind: 'DaemonSet' },
];

export const ROOT_CONFIG_MAP = 'istio-ca-root-cert';
export const ROOT_KEY = 'root-cert.pem';
export const LEASE = 'ambit-controlplane';

export const DATAPLANE_MODE_LABEL = 'istio.io/dataplane-mode';
export const REDIRECTION_ANNOTATION = 'ambient.istio.io/redirection';
export const HBONE_PORT = 15008;

/** Where each part answers questions; the proxy's admin listens on loopback only. */
export const PORTS = { agentHealth: 15015, proxyAdmin: 15000, controlPlaneHttp: 8080 } as const;
