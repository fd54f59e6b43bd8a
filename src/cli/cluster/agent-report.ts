/** The parts of a node agent's /enrolment that commands show. */

import { errors } from '../errors.ts';

export interface ReportedFinding {
  readonly kind?: string;
  /** RFC 3339. */
  readonly at?: string;
  readonly detail?: string;
}

export interface ReportedPod {
  readonly namespace: string;
  readonly name: string;
  readonly uid: string;
  /** Whether the pod should be in the mesh, and why. */
  readonly wanted: boolean;
  readonly reason: string;
  /** `out`, `pending`, `redirected`, `enrolled`, `failed`, `leaving`. */
  readonly state: string;
  readonly lastError?: { readonly code?: string; readonly message?: string };
  readonly findings?: readonly ReportedFinding[];
  readonly warnings?: readonly string[];
}

/** Whether the kernel of the node, and the chained CNI plugin, are as the agent needs them. */
export interface ReportedPart {
  readonly ok: boolean;
  /** What is missing. */
  readonly detail?: string;
  /** When somebody else's change of it was last undone; RFC 3339. */
  readonly repairedAt?: string;
}

export interface AgentReport {
  readonly node: string;
  readonly ready: boolean;
  readonly ztunnelConnections: number;
  readonly kernel?: ReportedPart;
  readonly plugin?: ReportedPart;
  readonly pods: readonly ReportedPod[];
}

/** @throws AmbitError AMBIT_CLI_BAD_ANSWER when the text is not such a report. */
export function parseAgentReport(text: string, origin: string): AgentReport {
  const report = parseJson(text);
  if (typeof report === 'object' && report !== null && 'pods' in report && Array.isArray(report.pods)) {
    return report as AgentReport;
  }
  throw errors.AMBIT_CLI_BAD_ANSWER(`${origin} does not report what the agent of a node reports`);
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
