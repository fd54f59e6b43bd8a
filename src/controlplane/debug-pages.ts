/** Pages for operators: what is served to whom, what is wrong with the objects, and what their status says. */

import { Cidr } from '../base/ip.ts';
import { objectKey } from '../objects/object-source.ts';
import {
  type EndpointRequest,
  type EndpointResponse,
  type EndpointRoutes,
  jsonResponse,
} from '../telemetry/http-endpoint.ts';
import type { MeshResource } from './compile/compile-object.ts';
import type { ControlPlaneParts } from './control-plane-parts.ts';

const PAGES = `ambit controlplane
  GET /healthz               the process answers
  GET /readyz                the objects are read and clients are served
  GET /metrics               for Prometheus
  GET /debug/resources       what is served; ?kind=workload|service|authorization and ?name= narrow it
  GET /debug/clients         connected clients, how far they are, and what they refuse
  GET /debug/problems        what is wrong with the objects that are read
  GET /debug/conditions      what the status of each object should say
  GET /debug/authority       the roots, whose key signs, how far a rotation is, and which replica writes
`;

export function debugPages(parts: ControlPlaneParts): EndpointRoutes {
  return {
    'GET /': () => ({ body: PAGES }),
    'GET /debug': () => ({ body: PAGES }),
    'GET /debug/resources': (request) => resourcesPage(parts, request),
    'GET /debug/clients': () => jsonResponse(parts.xds.clients()),
    'GET /debug/problems': () => jsonResponse(parts.source.problems),
    'GET /debug/conditions': () => conditionsPage(parts),
    'GET /debug/authority': () => authorityPage(parts),
  };
}

function resourcesPage({ controller }: ControlPlaneParts, { url }: EndpointRequest): EndpointResponse {
  const [kind, name] = [url.searchParams.get('kind'), url.searchParams.get('name')];
  const page: Record<string, Record<string, unknown>> = {};
  for (const resource of sortedByName(controller.compiler.resources())) {
    if ((kind ?? resource.kind) !== resource.kind || (name ?? resource.name) !== resource.name) continue;
    page[resource.kind] ??= {};
    page[resource.kind]![resource.name] = resource.value;
  }
  return json(page);
}

function conditionsPage({ controller }: ControlPlaneParts): EndpointResponse {
  const page: Record<string, unknown> = {};
  for (const [reference] of controller.compiler.conditions()) {
    const key = objectKey(reference);
    const conditions = controller.conditionsOf(key);
    if (conditions.length > 0) page[key] = conditions;
  }
  return json(page);
}

function authorityPage({ environment, issuing }: ControlPlaneParts): EndpointResponse {
  const { material } = environment.signing;
  const roots = issuing.authority.trustBundle.roots.map(({ subject, x509, notAfterMs }) => ({
    subject,
    sha256: x509.fingerprint256,
    expires: new Date(notAfterMs).toISOString(),
  }));
  const expires = new Date(material.expiresMs).toISOString();
  return jsonResponse({ roots, expires, ...environment.describe() });
}

function sortedByName(resources: Iterable<MeshResource>): readonly MeshResource[] {
  return [...resources].sort((a, b) => (a.name < b.name ? -1 : 1));
}

function json(value: unknown): EndpointResponse {
  return jsonResponse(JSON.parse(JSON.stringify(value, readable)));
}

/** Maps, address blocks and bytes as a person reads them. */
function readable(_key: string, value: unknown): unknown {
  if (value instanceof Map) return Object.fromEntries(value);
  if (value instanceof Cidr) return value.toString();
  return value instanceof Uint8Array ? Buffer.from(value).toString('base64') : value;
}
