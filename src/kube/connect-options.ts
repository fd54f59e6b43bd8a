/** Which API server a client is to talk to, as far as the user says. */

export interface ConnectOptions {
  /** Path of a kubeconfig; else KUBECONFIG, ~/.kube/config, or the service account of the pod. */
  readonly kubeconfig?: string | undefined;
  /** Name of a context of it; the current one when absent. */
  readonly context?: string | undefined;
}
