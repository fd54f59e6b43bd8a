/** Host names of services, and who may have one that several objects ask for. */

import type { ObjectMeta, Service } from '../../objects/core-types.ts';
import type { ServiceEntry } from '../../objects/istio-types.ts';
import type { CompileContext } from './object-lookup.ts';

/** `name.namespace.svc.cluster.local` */
export function hostnameOfService(context: CompileContext, { metadata }: Service): string {
  return `${metadata.name}.${metadata.namespace}.svc.${context.options.clusterDomain}`;
}

/** ExternalName is an alias in DNS, not a service the mesh could route to. */
export function isMeshService(service: Service): boolean {
  return service.spec !== undefined && service.spec.type !== 'ExternalName';
}

/** The Service of this host name, if there is one. */
export function serviceNamed(context: CompileContext, hostname: string): Service | undefined {
  const suffix = `.svc.${context.options.clusterDomain}`;
  if (!hostname.endsWith(suffix)) return undefined;
  const [name, namespace, ...rest] = hostname.slice(0, -suffix.length).split('.');
  if (name === undefined || namespace === undefined || rest.length > 0) return undefined;
  const service = context.objects.get('Service', namespace, name);
  return service !== undefined && isMeshService(service) ? service : undefined;
}

/** The host names of a ServiceEntry, each once, as they are compared. */
export function hostsOf(entry: ServiceEntry): readonly string[] {
  return [...new Set(entry.spec.hosts.map((host) => host.toLowerCase()))];
}

/**
 * Whether this entry speaks for the host name in its namespace: a Service of that name goes first, then the oldest
 * entry. The name is the name of the xDS resource, which only one of them can have.
 */
export function ownsHost(context: CompileContext, entry: ServiceEntry, host: string): boolean {
  if (serviceNamed(context, host)?.metadata.namespace === entry.metadata.namespace) return false;
  const rivals = context.objects
    .find('serviceEntryByHost', host)
    .filter((other) => other.metadata.namespace === entry.metadata.namespace);
  return rivals.every((other) => !isOlder(other.metadata, entry.metadata));
}

/** Whether this entry is the canonical one of the host name among all namespaces: the oldest, unless a Service is. */
export function isCanonical(context: CompileContext, entry: ServiceEntry, host: string): boolean {
  if (serviceNamed(context, host) !== undefined) return false;
  return context.objects
    .find('serviceEntryByHost', host)
    .every((other) => !isOlder(other.metadata, entry.metadata));
}

/** Age decides between rivals; names decide between those of the same age, or of none. */
export function isOlder(a: ObjectMeta, b: ObjectMeta): boolean {
  return compareAge(a, b) < 0;
}

export function compareAge(a: ObjectMeta, b: ObjectMeta): number {
  const [ageA, ageB] = [a.creationTimestamp ?? '', b.creationTimestamp ?? ''];
  if (ageA !== ageB) return ageA < ageB ? -1 : 1;
  const [nameA, nameB] = [`${a.namespace}/${a.name}`, `${b.namespace}/${b.name}`];
  if (nameA !== nameB) return nameA < nameB ? -1 : 1;
  return 0;
}
