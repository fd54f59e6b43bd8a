/** Labels of every object that the control plane makes. */

export const MANAGED_LABELS: Readonly<Record<string, string>> = {
  'app.kubernetes.io/name': 'ambit',
  'app.kubernetes.io/component': 'controlplane',
  'app.kubernetes.io/part-of': 'ambit',
  'app.kubernetes.io/managed-by': 'ambit-controlplane',
};
