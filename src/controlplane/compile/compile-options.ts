/** What holds for the whole mesh while objects are compiled. */

export interface CompileOptions {
  readonly trustDomain: string;
  readonly clusterId: string;
  /** Network of whatever does not say otherwise. */
  readonly network: string;
  /** Policies in this namespace hold for the whole mesh. */
  readonly rootNamespace: string;
  /** DNS domain of the cluster. */
  readonly clusterDomain: string;
}

export const DEFAULT_COMPILE_OPTIONS: CompileOptions = {
  trustDomain: 'cluster.local',
  clusterId: 'Kubernetes',
  network: '',
  rootNamespace: 'istio-system',
  clusterDomain: 'cluster.local',
};
