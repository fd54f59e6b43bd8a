/** Errors as a container runtime understands them: a number from the CNI specification, a message, details. */

/** Numbers below 100 are the specification's (CNI 1.1.0, section "Error"), the rest are a plugin's own. */
export const CNI_CODES = {
  incompatibleVersion: 1,
  invalidEnvironment: 4,
  decodeFailed: 6,
  invalidConfiguration: 7,
  tryAgainLater: 11,
  unexpected: 100,
} as const;

export type CniCode = (typeof CNI_CODES)[keyof typeof CNI_CODES];

/** What the plugin refuses; the runtime shows message and details, kubelet puts them into an Event of the pod. */
export class CniError extends Error {
  readonly code: CniCode;
  readonly details: string;

  constructor(code: CniCode, message: string, details = '') {
    super(message);
    this.code = code;
    this.details = details;
  }
}
