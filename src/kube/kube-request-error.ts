/** The error of a request that the API server answered with a failure, and the reading of its Status object. */

import { AmbitError } from '../base/errors.ts';
import { kubeErrors } from './errors.ts';

/** One entry of `details.causes` of a Status. */
export interface StatusCause {
  readonly reason: string;
  readonly message: string;
  readonly field: string;
}

/** What the API server says about a failure (kind Status, apiVersion v1); also the object of an ERROR event. */
export interface FailureStatus {
  /** HTTP status. */
  readonly code: number;
  /** `NotFound`, `Expired`, `Conflict`, …; empty when the answer is not a Status. */
  readonly reason: string;
  readonly message: string;
  readonly causes: readonly StatusCause[];
  /** How long the server asks to wait. */
  readonly retryAfterMs?: number;
}

export class KubeRequestError extends AmbitError {
  /** HTTP status. */
  readonly status: number;
  /** `NotFound`, `Expired`, `Conflict`, …; empty when the answer was not a Status. */
  readonly reason: string;
  readonly causes: readonly StatusCause[];
  readonly retryAfterMs: number | undefined;

  /** @param what the request, such as `GET /api/v1/pods` */
  constructor(what: string, failure: FailureStatus) {
    const { code, definition, message } = describe(what, failure);
    super(code, definition, message);
    this.status = failure.code;
    this.reason = failure.reason;
    this.causes = failure.causes;
    this.retryAfterMs = failure.retryAfterMs;
  }

  /** The version that was asked for is too old: list anew (HTTP 410). */
  get isExpired(): boolean {
    return this.status === 410 || this.reason === 'Expired' || this.reason === 'Gone';
  }

  /** The version that was asked for is one that this server has not seen. */
  get isFromTheFuture(): boolean {
    return this.causes.some((cause) => cause.reason === 'ResourceVersionTooLarge');
  }
}

/** Whether something thrown is the API server's answer of this HTTP status. */
export function hasStatus(thrown: unknown, status: number): boolean {
  return thrown instanceof KubeRequestError && thrown.status === status;
}

/** Reads a Status object; anything else becomes a failure whose message is its text. */
export function parseFailure(code: number, text: string, retryAfter?: string): FailureStatus {
  const status = parseStatusText(text);
  const retryAfterMs = retryAfterOf(retryAfter, status?.details?.retryAfterSeconds);
  return {
    code: typeof status?.code === 'number' && code === 200 ? status.code : code,
    reason: textOf(status?.reason),
    message: textOf(status?.message) || text.slice(0, MAX_MESSAGE).trim(),
    causes: causesOf(status?.details?.causes),
    ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
  };
}

/** An HTML page of a proxy may be long. */
const MAX_MESSAGE = 300;

interface StatusObject {
  readonly kind?: unknown;
  readonly code?: unknown;
  readonly reason?: unknown;
  readonly message?: unknown;
  readonly details?: { readonly causes?: unknown; readonly retryAfterSeconds?: unknown };
}

function parseStatusText(text: string): StatusObject | undefined {
  try {
    const value: StatusObject | null = JSON.parse(text);
    return value?.kind === 'Status' ? value : undefined;
  } catch {
    return undefined;
  }
}

function causesOf(causes: unknown): StatusCause[] {
  if (!Array.isArray(causes)) return [];
  return causes.map((cause: Partial<Record<keyof StatusCause, unknown>> | null) => ({
    reason: textOf(cause?.reason),
    message: textOf(cause?.message),
    field: textOf(cause?.field),
  }));
}

/** RFC 9110 §10.2.3 in seconds; the API server does not send dates. */
function retryAfterOf(header: string | undefined, seconds: unknown): number | undefined {
  const value = header !== undefined && /^\d{1,6}$/.test(header) ? Number(header) : seconds;
  return typeof value === 'number' && value > 0 ? value * 1000 : undefined;
}

function textOf(value: unknown): string {
  return typeof value === 'string' ? value : '';
}

function describe(
  what: string,
  failure: FailureStatus,
): { code: string; definition: AmbitError; message: string } {
  const conflicts = failure.causes.filter((cause) => cause.reason === 'FieldManagerConflict');
  if (conflicts.length === 0) {
    const told = failure.message === '' ? '' : `: ${failure.message}`;
    const definition = kubeErrors.AMBIT_KUBE_REQUEST_FAILED(`${what} was answered ${failure.code}${told}`);
    return { code: definition.code, definition, message: definition.message };
  }
  const fields = conflicts.map(({ field, message }) => `${field} (${message})`).join(', ');
  const definition = kubeErrors.AMBIT_KUBE_APPLY_CONFLICT(
    `${what}: fields belong to another manager: ${fields}`,
  );
  return { code: definition.code, definition, message: definition.message };
}
