/** What commands ask of the Kubernetes API server; the client of src/kube/ is one. */

export interface ApiRequest {
  readonly method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  /** Begins with /api or /apis. */
  readonly path: string;
  readonly query?: Readonly<Record<string, string>>;
  readonly body?: unknown;
  /** `application/json` when absent. */
  readonly contentType?: string;
  readonly timeoutMs?: number;
}

export interface ClusterApi {
  /** The object that the server answers. Rejects with an AmbitError, which has the HTTP status. */
  request<T>(request: ApiRequest): Promise<T>;
}

interface Page<T> {
  readonly items?: readonly T[];
  readonly metadata?: { readonly continue?: string };
}

/** Objects in one answer, as kubectl asks for them. */
const PAGE_SIZE = 500;

/** Every object of a collection, however many pages it has. */
export async function listAll<T>(
  api: ClusterApi,
  path: string,
  query: Readonly<Record<string, string>> = {},
): Promise<T[]> {
  const items: T[] = [];
  let token: string | undefined = '';
  while (token !== undefined) {
    const page: Page<T> = await api.request({
      method: 'GET',
      path,
      query: { ...query, limit: String(PAGE_SIZE), ...(token !== '' && { continue: token }) },
    });
    items.push(...(page.items ?? []));
    token = page.metadata?.continue || undefined;
  }
  return items;
}

/** The HTTP status of an error of the API server, where it has answered at all. */
export function statusOf(thrown: unknown): number | undefined {
  if (!(thrown instanceof Error) || !('status' in thrown)) return undefined;
  return typeof thrown.status === 'number' ? thrown.status : undefined;
}

const NOT_FOUND = 404;

/** The object, or undefined where there is none (or no such kind). */
export async function getIfThere<T>(api: ClusterApi, path: string): Promise<T | undefined> {
  try {
    return await api.request<T>({ method: 'GET', path });
  } catch (thrown) {
    if (statusOf(thrown) === NOT_FOUND) return undefined;
    throw thrown;
  }
}

/** The collection, or nothing where the cluster does not know the kind. */
export async function listIfKnown<T>(
  api: ClusterApi,
  path: string,
  query?: Readonly<Record<string, string>>,
): Promise<T[]> {
  try {
    return await listAll<T>(api, path, query);
  } catch (thrown) {
    if (statusOf(thrown) === NOT_FOUND) return [];
    throw thrown;
  }
}
