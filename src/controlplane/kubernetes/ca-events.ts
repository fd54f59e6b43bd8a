/** Tells of trouble with the CA by Events on the pod of the control plane, where a person looks who finds it unready. */

import type { AmbitError } from '../../base/errors.ts';
import type { EventRecorder } from '../../kube/event-recorder.ts';
import type { ObjectSource } from '../../objects/object-source.ts';

export interface CaEventsOptions {
  readonly recorder: EventRecorder;
  readonly source: ObjectSource;
  readonly namespace: string;
  /** Name of the pod. */
  readonly identity: string;
}

export class CaEvents {
  readonly #options: CaEventsOptions;

  constructor(options: CaEventsOptions) {
    this.#options = options;
  }

  note(problem: AmbitError): void {
    const { recorder, source, namespace, identity: name } = this.#options;
    const uid = source.get('Pod', namespace, name)?.metadata.uid ?? '';
    recorder.record({
      regarding: { kind: 'Pod', namespace, name, uid },
      type: 'Warning',
      reason: 'CertificateAuthority',
      action: 'Sign',
      note: `${problem.message} (${problem.code}). ${problem.hint}`,
    });
  }
}
