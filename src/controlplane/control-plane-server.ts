/** The control plane as a whole: reads objects, serves the mesh to proxies, signs their certificates, shows itself. */

import { messageOf } from '../base/errors.ts';
import { type ObjectReference, referenceOf } from '../objects/object-source.ts';
import { type EndpointRoutes, HttpEndpoint } from '../telemetry/http-endpoint.ts';
import { logger } from '../telemetry/log.ts';
import { type Authenticate, bearerToken } from '../xds/call-authentication.ts';
import { serveCertificates } from '../xds/certificate-server.ts';
import { DeltaServer } from '../xds/delta-server.ts';
import { GrpcServer } from '../xds/grpc/grpc-server.ts';
import { AUTHORIZATION_TYPE_URL } from '../xds/mesh-resources.ts';
import type { Caller } from './ca/caller.ts';
import { grpcStatusOf } from './ca/errors.ts';
import { StaticKeyTokenVerifier } from './ca/static-key-token-verifier.ts';
import type { ControlPlaneConfig, ListenAddress } from './config.ts';
import { controlPlaneMetrics } from './control-plane-metrics.ts';
import type { ControlPlaneParts } from './control-plane-parts.ts';
import { debugPages } from './debug-pages.ts';
import { DeliveryReport } from './delivery-report.ts';
import { controlPlaneErrors } from './errors.ts';
import { openAuthority } from './issuing-authority.ts';
import { MeshController, makeResourceCache } from './mesh-controller.ts';
import { openObjects } from './open-objects.ts';
import { PodRegistry } from './pod-registry.ts';

const log = logger('controlplane');

/** Calls that are under way at the end get this long; proxies come back by themselves. */
const SHUTDOWN_GRACE_MS = 2000;

export class ControlPlaneServer implements AsyncDisposable {
  readonly xdsPort: number;
  readonly httpPort: number;
  readonly #stack: AsyncDisposableStack;

  private constructor(stack: AsyncDisposableStack, xdsPort: number, httpPort: number) {
    this.#stack = stack;
    this.xdsPort = xdsPort;
    this.httpPort = httpPort;
  }

  /** Resolves when clients are served. Rejects with an AmbitError when something it needs cannot be had. */
  static async start(config: ControlPlaneConfig): Promise<ControlPlaneServer> {
    await using stack = new AsyncDisposableStack();
    const parts = await assemble(config, stack);
    parts.controller.start();
    parts.controller.startWriting();
    const xdsPort = await serveProxies(config.listen, parts, stack);
    let ready = true;
    const httpPort = await servePages(
      config.http,
      pagesOf(parts, () => ready),
      stack,
    );
    stack.defer(() => {
      ready = false;
    });
    log.info('serving', { xds: xdsPort, http: httpPort, objects: config.objects ?? 'kubernetes' });
    return new ControlPlaneServer(stack.move(), xdsPort, httpPort);
  }

  /** Ends every call and closes everything; proxies keep what they have and come back. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.#stack.disposeAsync();
  }
}

async function assemble(config: ControlPlaneConfig, stack: AsyncDisposableStack): Promise<ControlPlaneParts> {
  const authenticate = authenticator(config.tokenKey);
  const pods = new PodRegistry();
  const issuing = stack.use(await openAuthority(config, pods));
  const source = await openObjects(config, stack);
  stack.defer(() => source.stop());
  await source.start();
  stack.defer(pods.follow(source));
  const cache = makeResourceCache();
  const controller = new MeshController({ source, cache, compile: config });
  stack.defer(() => controller.stop());
  const xds = new DeltaServer({ cache, authenticate, onRejected: () => delivery.noteRefusal() });
  stack.defer(() => xds.close());
  const delivery = new DeliveryReport({
    clients: () => xds.clients(),
    originOf: (typeUrl, name) => originOf(controller, typeUrl, name),
    report: (conditions) => controller.setDelivery(conditions),
  });
  stack.defer(() => delivery.close());
  return { source, controller, issuing, xds, authenticate };
}

function authenticator(tokenKey: string): Authenticate<Caller> {
  const verifier = openTokenKey(tokenKey);
  return async (call) => {
    const token = bearerToken(call);
    return token === undefined ? undefined : verifier.verify(token);
  };
}

function openTokenKey(path: string): StaticKeyTokenVerifier {
  try {
    return StaticKeyTokenVerifier.fromFile(path);
  } catch (thrown) {
    const message = `--token-key ${path} is not a public key: ${messageOf(thrown)}`;
    throw controlPlaneErrors.AMBIT_CONTROLPLANE_CONFIG_INVALID(message, thrown);
  }
}

function originOf({ compiler }: MeshController, typeUrl: string, name: string): ObjectReference | undefined {
  const kinds =
    typeUrl === AUTHORIZATION_TYPE_URL ? ['authorization' as const] : (['workload', 'service'] as const);
  const origin = kinds.map((kind) => compiler.originOf({ kind, name })).find((one) => one !== undefined);
  return origin && referenceOf(origin);
}

async function serveProxies(
  address: ListenAddress,
  { issuing, xds, authenticate }: ControlPlaneParts,
  stack: AsyncDisposableStack,
): Promise<number> {
  const server = new GrpcServer({ credentials: issuing.serving.current });
  stack.defer(issuing.serving.onChange((credentials) => server.setSecureContext(credentials)));
  xds.bindTo(server);
  serveCertificates<Caller>(server, {
    authenticate,
    createCertificate: (request, caller) => issuing.service.createCertificate(request, caller),
    statusOf: grpcStatusOf,
  });
  const port = await listening(address, () => server.listen(address));
  stack.defer(() => server.close(SHUTDOWN_GRACE_MS));
  return port;
}

async function servePages(
  address: ListenAddress,
  routes: EndpointRoutes,
  stack: AsyncDisposableStack,
): Promise<number> {
  const endpoint = new HttpEndpoint(routes);
  const port = await listening(address, () => endpoint.listen(address.host ?? '', address.port));
  stack.defer(() => endpoint.close());
  return port;
}

async function listening(address: ListenAddress, listen: () => Promise<number>): Promise<number> {
  try {
    return await listen();
  } catch (thrown) {
    const where = `${address.host ?? '[::]'}:${address.port}`;
    throw controlPlaneErrors.AMBIT_CONTROLPLANE_LISTEN_FAILED(
      `cannot listen on ${where}: ${messageOf(thrown)}`,
      thrown,
    );
  }
}

function pagesOf(parts: ControlPlaneParts, isReady: () => boolean): EndpointRoutes {
  const metrics = controlPlaneMetrics(parts);
  return {
    ...debugPages(parts),
    'GET /healthz': () => ({ body: 'ok\n' }),
    'GET /readyz': () => (isReady() ? { body: 'ok\n' } : { status: 503, body: 'stopping\n' }),
    'GET /metrics': ({ accept }) => metrics.render(accept),
  };
}
