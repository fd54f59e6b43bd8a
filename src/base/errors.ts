/** The one error class of the mesh, and the catalogues that give every error a stable code. */

/** Whose doing an error is; it decides the response flag and what an operator looks at first. */
export type ErrorSide = 'downstream' | 'upstream' | 'internal' | 'policy' | 'config' | 'control-plane';

/** What a catalogue says about one code: constant for every occurrence of it. */
export interface ErrorDefinition {
  readonly side: ErrorSide;
  /** Whether the same attempt on another endpoint may succeed, given that no byte has moved yet. */
  readonly retryable?: boolean;
  /** What the operator should do next, one sentence. */
  readonly hint: string;
}

/** An error that an operator may see: what happened, under a code that docs/errors.md explains. */
export class AmbitError extends Error {
  readonly code: string;
  readonly side: ErrorSide;
  readonly retryable: boolean;
  readonly hint: string;

  constructor(code: string, definition: ErrorDefinition, message: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.name = 'AmbitError';
    this.code = code;
    this.side = definition.side;
    this.retryable = definition.retryable ?? false;
    this.hint = definition.hint;
  }
}

export type ErrorFactory = (message: string, cause?: unknown) => AmbitError;

/**
 * Turns a table of codes into a table of factories, so that a code is written once and a typo does not compile.
 * Each folder of src/ that raises errors has one such table, in its errors.ts.
 */
export function errorCatalogue<const T extends Readonly<Record<string, ErrorDefinition>>>(
  table: T,
): { readonly [C in keyof T]: ErrorFactory } {
  const factories: Record<string, ErrorFactory> = {};
  for (const [code, definition] of Object.entries(table)) {
    factories[code] = (message, cause) => new AmbitError(code, definition, message, cause);
  }
  return factories as { readonly [C in keyof T]: ErrorFactory };
}

/** The text of anything thrown, for a log line. */
export function messageOf(thrown: unknown): string {
  return thrown instanceof Error ? thrown.message : String(thrown);
}
