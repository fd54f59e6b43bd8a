/** What can be set when the mesh is installed, and where in the manifests each setting goes. */

import type { Json, Path } from './manifest.ts';

/** A place in one object. */
export interface SettingTarget {
  readonly kind: string;
  readonly object: string;
  readonly path: Path;
}

/**
 * One setting. `scalar` is a text or a number in its place; `tree` an object or a list, left out when it is empty;
 * `entries` go beside what is in an object already; `environment` gives variables by name, and replaces those of the
 * same name.
 */
export interface Setting {
  /** As in a values file: `ztunnel.resources`. */
  readonly name: string;
  readonly form: 'scalar' | 'tree' | 'entries' | 'environment';
  readonly description: string;
  /** The first is where the default is read from. */
  readonly targets: readonly SettingTarget[];
  /** For what is not in the manifests by itself. */
  readonly fallback?: Json;
}

export interface Component {
  readonly name: 'controlplane' | 'cni' | 'ztunnel';
  readonly kind: 'Deployment' | 'DaemonSet';
}

export const COMPONENTS: readonly Component[] = [
  { name: 'controlplane', kind: 'Deployment' },
  { name: 'cni', kind: 'DaemonSet' },
  { name: 'ztunnel', kind: 'DaemonSet' },
];
const [CONTROLPLANE, CNI, ZTUNNEL] = COMPONENTS as readonly [Component, Component, Component];

/** The namespace that the manifests name; another one takes its place everywhere. */
export const DEFAULT_NAMESPACE = 'ambit-system';

/** Settings of the image, which make one reference together; see {@link imageTargets}. */
export const IMAGE_SETTINGS: readonly Omit<Setting, 'form' | 'targets'>[] = [
  { name: 'hub', description: 'Registry and path in front of the name of the image', fallback: '' },
  {
    name: 'image',
    description: 'Name of the image, or a whole reference with its tag or digest',
    fallback: 'ambit',
  },
  { name: 'tag', description: 'Tag of the image' },
];

export const SETTINGS: readonly Setting[] = [
  {
    name: 'imagePullPolicy',
    form: 'scalar',
    description: 'When kubelet pulls the image',
    targets: COMPONENTS.map((component) => inContainer(component, ['imagePullPolicy'])),
  },
  {
    name: 'imagePullSecrets',
    form: 'tree',
    description: 'Secrets for the registry, as a list of {name}',
    targets: COMPONENTS.map((component) => inPod(component, ['imagePullSecrets'])),
    fallback: [],
  },
  {
    name: 'logLevel',
    form: 'scalar',
    description: 'Log level: error, warn, info, debug, or per scope as info,access=debug',
    targets: COMPONENTS.map((component) =>
      variable(component, component === ZTUNNEL ? 'RUST_LOG' : 'LOG_LEVEL'),
    ),
  },
  {
    name: 'logFormat',
    form: 'scalar',
    description: 'Log lines for people (plain) or programs (json)',
    targets: COMPONENTS.map((component) => variable(component, 'LOG_FORMAT')),
  },
  {
    name: 'meshConfig.trustDomain',
    form: 'scalar',
    description: 'Trust domain of all identities',
    targets: [variable(CONTROLPLANE, 'TRUST_DOMAIN'), variable(ZTUNNEL, 'TRUST_DOMAIN')],
  },
  {
    name: 'meshConfig.rootNamespace',
    form: 'scalar',
    description: 'Namespace whose policies hold for the whole mesh',
    targets: [variable(CONTROLPLANE, 'AMBIT_ROOT_NAMESPACE')],
  },
  {
    name: 'clusterDomain',
    form: 'scalar',
    description: 'DNS domain of the cluster',
    targets: COMPONENTS.map((component) => variable(component, 'CLUSTER_DOMAIN')),
  },
  {
    name: 'multiCluster.clusterName',
    form: 'scalar',
    description: 'Name of this cluster',
    targets: [variable(CONTROLPLANE, 'CLUSTER_ID'), variable(ZTUNNEL, 'CLUSTER_ID')],
  },
  {
    name: 'network',
    form: 'scalar',
    description: 'Network of whatever does not say otherwise',
    fallback: '',
    targets: [variable(CONTROLPLANE, 'NETWORK'), variable(ZTUNNEL, 'NETWORK')],
  },
  {
    name: 'controlplane.replicas',
    form: 'scalar',
    description: 'Replicas of the control plane; one of them writes, all of them serve',
    targets: [{ kind: 'Deployment', object: 'ambit-controlplane', path: ['spec', 'replicas'] }],
  },
  {
    name: 'cni.cniBinDir',
    form: 'scalar',
    description: 'Where the node keeps the executables of CNI plugins',
    targets: [hostPath('cni-bin')],
  },
  {
    name: 'cni.cniConfDir',
    form: 'scalar',
    description: 'Where the node keeps the configuration of CNI plugins',
    targets: [hostPath('cni-conf')],
  },
  {
    name: 'cni.cniNetnsDir',
    form: 'scalar',
    description: 'Where the container runtime mounts network namespaces',
    targets: [hostPath('netns')],
  },
  {
    name: 'cni.ownConflist',
    form: 'scalar',
    description: 'A CNI configuration of our own instead of an entry in the network’s: "true" or "false"',
    targets: [variable(CNI, 'OWN_CONFLIST')],
  },
  {
    name: 'cni.excludeNamespaces',
    form: 'scalar',
    description: 'Namespaces whose pods stay out of the mesh, separated by commas',
    targets: [variable(CNI, 'EXCLUDE_NAMESPACES')],
  },
  {
    name: 'cni.dnsCapture',
    form: 'scalar',
    description: 'Whether DNS of pods is captured that do not say: "true" or "false"',
    targets: [variable(CNI, 'AMBIENT_DNS_CAPTURE'), variable(ZTUNNEL, 'ISTIO_META_DNS_CAPTURE')],
  },
  ...COMPONENTS.flatMap(componentSettings),
];

/** Where the reference of the image goes. */
export function imageTargets(): SettingTarget[] {
  return COMPONENTS.map((component) => inContainer(component, ['image']));
}

function componentSettings(component: Component): Setting[] {
  const { name } = component;
  const template: Path = ['spec', 'template', 'metadata'];
  return [
    {
      name: `${name}.resources`,
      form: 'tree',
      description: 'Requests and limits',
      targets: [inContainer(component, ['resources'])],
    },
    {
      name: `${name}.nodeSelector`,
      form: 'tree',
      description: 'Labels of the nodes that it runs on',
      targets: [inPod(component, ['nodeSelector'])],
    },
    {
      name: `${name}.tolerations`,
      form: 'tree',
      description: 'Taints that do not keep it away',
      targets: [inPod(component, ['tolerations'])],
      fallback: [],
    },
    {
      name: `${name}.affinity`,
      form: 'tree',
      description: 'Where it prefers to run',
      targets: [inPod(component, ['affinity'])],
      fallback: {},
    },
    {
      name: `${name}.seLinuxOptions`,
      form: 'tree',
      description: 'SELinux context; {type: spc_t} for a DaemonSet where SELinux enforces',
      targets: [inContainer(component, ['securityContext', 'seLinuxOptions'])],
      fallback: {},
    },
    {
      name: `${name}.podAnnotations`,
      form: 'entries',
      description: 'Further annotations of its pods',
      targets: [inObject(component, [...template, 'annotations'])],
      fallback: {},
    },
    {
      name: `${name}.podLabels`,
      form: 'entries',
      description: 'Further labels of its pods',
      targets: [inObject(component, [...template, 'labels'])],
      fallback: {},
    },
    {
      name: `${name}.env`,
      form: 'environment',
      description: 'Environment variables, by name',
      targets: [inContainer(component, ['env'])],
      fallback: {},
    },
  ];
}

function inObject({ name, kind }: Component, path: Path): SettingTarget {
  return { kind, object: `ambit-${name}`, path };
}

function inPod(component: Component, path: Path): SettingTarget {
  return inObject(component, ['spec', 'template', 'spec', ...path]);
}

function inContainer(component: Component, path: Path): SettingTarget {
  return inPod(component, ['containers', { name: component.name }, ...path]);
}

function variable(component: Component, name: string): SettingTarget {
  return inContainer(component, ['env', { name }, 'value']);
}

function hostPath(volume: string): SettingTarget {
  return inPod(CNI, ['volumes', { name: volume }, 'hostPath', 'path']);
}
