/** Which kinds an API server offers, and under which paths. */

import { kubeErrors } from './errors.ts';
import { hasStatus } from './kube-request-error.ts';

/** One entry of an APIResourceList. */
export interface ApiResource {
  /** Plural; subresources have a slash in it. */
  readonly name: string;
  readonly kind: string;
  readonly namespaced: boolean;
}

export interface ObjectPath {
  readonly apiVersion: string;
  readonly kind: string;
  readonly namespace?: string | undefined;
  readonly name?: string | undefined;
}

export class ApiDiscovery {
  readonly #get: (path: string) => Promise<{ readonly resources?: readonly ApiResource[] }>;
  readonly #known = new Map<string, Promise<readonly ApiResource[]>>();

  constructor(get: (path: string) => Promise<{ readonly resources?: readonly ApiResource[] }>) {
    this.#get = get;
  }

  /** Asks the server. */
  async read(apiVersion: string): Promise<readonly ApiResource[]> {
    try {
      return (await this.#get(groupPath(apiVersion))).resources ?? [];
    } catch (thrown) {
      if (hasStatus(thrown, 404)) return [];
      throw thrown;
    }
  }

  async pathOf(wanted: ObjectPath): Promise<string> {
    const { apiVersion, kind, namespace, name } = wanted;
    const resource = (await this.#find(apiVersion, kind)) ?? (await this.#findAnew(apiVersion, kind));
    if (resource === undefined) {
      throw kubeErrors.AMBIT_KUBE_KIND_UNKNOWN(`the API server has no kind ${kind} in ${apiVersion}`);
    }
    const inNamespace = resource.namespaced && namespace !== undefined && namespace !== '';
    const scope = inNamespace ? `/namespaces/${encodeURIComponent(namespace)}` : '';
    const tail = name === undefined ? '' : `/${encodeURIComponent(name)}`;
    return `${groupPath(apiVersion)}${scope}/${resource.name}${tail}`;
  }

  async #find(apiVersion: string, kind: string): Promise<ApiResource | undefined> {
    const known = this.#known.get(apiVersion) ?? this.read(apiVersion);
    this.#known.set(apiVersion, known);
    try {
      return (await known).find((one) => one.kind === kind && !one.name.includes('/'));
    } catch (thrown) {
      this.#known.delete(apiVersion);
      throw thrown;
    }
  }

  /** A CustomResourceDefinition may have come since. */
  #findAnew(apiVersion: string, kind: string): Promise<ApiResource | undefined> {
    this.#known.delete(apiVersion);
    return this.#find(apiVersion, kind);
  }
}

/** `v1`, `apps/v1`. */
export function apiVersionOf({
  group,
  version,
}: {
  readonly group: string;
  readonly version: string;
}): string {
  return group === '' ? version : `${group}/${version}`;
}

/** `/api/v1`, `/apis/apps/v1`. */
export function groupPath(apiVersion: string): string {
  return apiVersion.includes('/') ? `/apis/${apiVersion}` : `/api/${apiVersion}`;
}
