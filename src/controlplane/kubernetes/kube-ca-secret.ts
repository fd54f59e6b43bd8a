/** The Secret of the CA, kept by an API server. */

import { type KubeClient, MERGE_PATCH_TYPE } from '../../kube/kube-client.ts';
import { hasStatus } from '../../kube/kube-request-error.ts';
import { Reflector } from '../../kube/reflector.ts';
import type { CaSecret, CaSecretClient, CaSecretContent } from '../ca/ca-secret.ts';
import { MANAGED_LABELS } from './managed-labels.ts';

export interface KubeCaSecretOptions {
  readonly client: KubeClient;
  readonly namespace: string;
  readonly name: string;
  /** Field manager of what this process writes. */
  readonly writer: string;
}

/** A core/v1 Secret, as far as it matters here. */
interface RawSecret {
  readonly metadata: {
    readonly resourceVersion: string;
    readonly annotations?: Readonly<Record<string, string>>;
  };
  /** Values in base64. */
  readonly data?: Readonly<Record<string, string>>;
}

/** Needs `create` of Secrets in the namespace, and `get`, `list`, `watch` and `patch` of this one. */
export class KubeCaSecret implements CaSecretClient {
  readonly place: string;
  readonly #options: KubeCaSecretOptions;
  readonly #folder: string;

  constructor(options: KubeCaSecretOptions) {
    this.#options = options;
    this.place = `${options.namespace}/${options.name}`;
    this.#folder = `/api/v1/namespaces/${options.namespace}/secrets`;
  }

  async read(): Promise<CaSecret | undefined> {
    try {
      return secretOf(await this.#options.client.request<RawSecret>({ path: this.#path }));
    } catch (thrown) {
      if (hasStatus(thrown, 404)) return undefined;
      throw thrown;
    }
  }

  async create({ data, annotations }: CaSecretContent): Promise<boolean> {
    const { client, name, namespace, writer } = this.#options;
    const metadata = { name, namespace, annotations, labels: MANAGED_LABELS };
    const secret = {
      apiVersion: 'v1',
      kind: 'Secret',
      type: 'kubernetes.io/tls',
      metadata,
      data: encode(data),
    };
    return unlessRefused(409, () =>
      client.request({ method: 'POST', path: this.#folder, query: { fieldManager: writer }, body: secret }),
    );
  }

  async replace(before: CaSecret, { data, annotations }: CaSecretContent): Promise<boolean> {
    const { client, writer } = this.#options;
    const gone = Object.keys(before.annotations).filter((key) => !(key in annotations));
    const metadata = {
      resourceVersion: before.resourceVersion,
      annotations: { ...annotations, ...Object.fromEntries(gone.map((key) => [key, null])) },
    };
    const request = {
      method: 'PATCH',
      path: this.#path,
      query: { fieldManager: writer },
      contentType: MERGE_PATCH_TYPE,
      body: { metadata, data: encode(data) },
    } as const;
    return unlessRefused(409, () => unlessRefused(404, () => client.request(request)));
  }

  watch(onChange: () => void): () => void {
    const reflector = new Reflector({
      client: this.#options.client,
      path: this.#folder,
      fieldSelector: `metadata.name=${this.#options.name}`,
      decode: () => undefined,
      onList: onChange,
      onEvents: onChange,
    });
    reflector.start();
    return () => void reflector.stop();
  }

  get #path(): string {
    return `${this.#folder}/${this.#options.name}`;
  }
}

function secretOf({ metadata, data = {} }: RawSecret): CaSecret {
  const texts = Object.entries(data).map(([key, value]) => [key, Buffer.from(value, 'base64').toString()]);
  const { resourceVersion, annotations = {} } = metadata;
  return { resourceVersion, annotations, data: Object.fromEntries(texts) };
}

function encode(data: Readonly<Record<string, string>>): Readonly<Record<string, string>> {
  const encoded = Object.entries(data).map(([key, text]) => [key, Buffer.from(text).toString('base64')]);
  return Object.fromEntries(encoded);
}

/** False when the answer has this HTTP status, or what was asked for says so itself. */
async function unlessRefused(status: number, request: () => Promise<unknown>): Promise<boolean> {
  try {
    return (await request()) !== false;
  } catch (thrown) {
    if (hasStatus(thrown, status)) return false;
    throw thrown;
  }
}
