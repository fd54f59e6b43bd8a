/** Errors of the node agent: what can go wrong between a pod and its place in the mesh. */

import { errorCatalogue } from '../base/errors.ts';

export const cniErrors = errorCatalogue({
  AMBIT_CNI_NO_IPTABLES: {
    side: 'config',
    hint: 'Put iptables (iptables-save and iptables-restore, nft or legacy) and iproute2 into the image, or name the flavour with AMBIT_IPTABLES.',
  },
  AMBIT_CNI_PROGRAM_FAILED: {
    side: 'internal',
    retryable: true,
    hint: 'Read the program’s own words in the message; EPERM means that NET_ADMIN or SYS_ADMIN is missing, a lock time-out that another program holds the xtables lock.',
  },
  AMBIT_CNI_RULES_NOT_IN_FORCE: {
    side: 'internal',
    retryable: true,
    hint: 'Something else rewrites iptables or policy routing in the pod: look for a container with NET_ADMIN that flushes rules.',
  },
  AMBIT_CNI_NETNS_NOT_FOUND: {
    side: 'internal',
    retryable: true,
    hint: 'Check that the directory of network namespaces is mounted into the agent with HostToContainer propagation, and that the pod runs on this node.',
  },
  AMBIT_CNI_NETNS_AMBIGUOUS: {
    side: 'internal',
    retryable: true,
    hint: 'Several network namespaces hold the pod’s address: delete the one that is left over from an older sandbox.',
  },
  AMBIT_CNI_NO_ZTUNNEL: {
    side: 'internal',
    retryable: true,
    hint: 'No ztunnel of this node is connected: check that the ztunnel pod of this node runs and mounts the same socket directory.',
  },
  AMBIT_CNI_ZTUNNEL_REFUSED: {
    side: 'internal',
    retryable: true,
    hint: 'ztunnel could not start a proxy for the pod; its own words are in the message, and its log says more.',
  },
  AMBIT_CNI_ZTUNNEL_TIMEOUT: {
    side: 'internal',
    retryable: true,
    hint: 'ztunnel did not answer in time: it may be starved of CPU or stuck; look at its readiness on port 15021.',
  },
  AMBIT_CNI_ZTUNNEL_GONE: {
    side: 'internal',
    retryable: true,
    hint: 'The connection to ztunnel ended before it answered; the pod is offered again as soon as one is connected.',
  },
  AMBIT_CNI_ZDS_PROTOCOL: {
    side: 'internal',
    hint: 'The peer on the ZDS socket does not speak version 1 of the protocol: check that agent and ztunnel are of matching releases.',
  },
  AMBIT_CNI_PROBE_SET_FAILED: {
    side: 'internal',
    retryable: true,
    hint: 'The node’s set of probe-exempt addresses could not be changed: check that ipset is in the image and the kernel has ip_set_hash_ip.',
  },
  AMBIT_CNI_PLUGIN_REQUEST_INVALID: {
    side: 'config',
    hint: 'The CNI plugin sent a body that is not understood: check that plugin and agent are of matching releases.',
  },
  AMBIT_CNI_POD_UNKNOWN: {
    side: 'internal',
    retryable: true,
    hint: 'The pod did not appear in the agent’s view of the cluster in time: check that the agent can watch pods and namespaces.',
  },
  AMBIT_CNI_POD_CHANGED: {
    side: 'internal',
    retryable: true,
    hint: 'The pod was deleted or opted out while it was being enrolled; nothing is to be done.',
  },
  AMBIT_CNI_POD_NOT_ENROLLED: {
    side: 'internal',
    retryable: true,
    hint: 'The message ends with the last obstacle; kubelet tries again with a new sandbox. GET /enrolment of the agent tells more.',
  },
  AMBIT_CNI_UNEXPECTED: {
    side: 'internal',
    retryable: true,
    hint: 'This should not happen: report it with the log lines around it. The pod is tried again.',
  },
  AMBIT_CNI_CONFIG_INVALID: {
    side: 'config',
    hint: 'Correct the flag or the environment variable named in the message; `ambit cni --help` lists them.',
  },
  AMBIT_CNI_INSTALL_FAILED: {
    side: 'internal',
    retryable: true,
    hint: 'Check that the CNI directories of the node are mounted into the agent and can be written; the message names the file.',
  },
  AMBIT_CNI_NO_PRIMARY_CONFIG: {
    side: 'config',
    retryable: true,
    hint: 'The plugin is chained behind the one of the cluster’s network: install that, or correct the directory of CNI configurations (--cni-conf-dir).',
  },
  AMBIT_CNI_CONFIG_FIGHT: {
    side: 'config',
    retryable: true,
    hint: 'Something else rewrites the CNI configuration again and again: with Cilium set cni.exclusive=false, otherwise try --own-conflist.',
  },
  AMBIT_CNI_CONFIG_NOT_FIRST: {
    side: 'config',
    hint: 'Runtimes use the file that sorts first: leave --own-conflist out, so that the entry goes into that file.',
  },
  AMBIT_CNI_TOKEN_REFUSED: {
    side: 'config',
    retryable: true,
    hint: 'Check that the agent may create tokens of the ServiceAccount of the plugin, see docs/cni.md.',
  },
});
