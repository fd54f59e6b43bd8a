/** The control plane as a whole: reads objects, serves the mesh to proxies, signs their certificates, shows itself. */

import { AmbitError, messageOf } from '../base/errors.ts';
import { type ObjectReference, referenceOf } from '../objects/object-source.ts';
import { type EndpointHandler, type EndpointRequest, HttpEndpoint } from '../telemetry/http-endpoint.ts';
import { logger } from '../telemetry/log.ts';
import { type Authenticate, bearerToken } from '../xds/call-authentication.ts';
import { serveCertificates } from '../xds/certificate-server.ts';
import { DeltaServer } from '../xds/delta-server.ts';
import { GrpcServer } from '../xds/grpc/grpc-server.ts';
import { errorOfStatus, GRPC_STATUS } from '../xds/grpc/grpc-status.ts';
import { AUTHORIZATION_TYPE_URL } from '../xds/mesh-resources.ts';
import type { Caller, TokenVerifier } from './ca/caller.ts';
import { grpcStatusOf } from './ca/errors.ts';
import type { ControlPlaneConfig, ListenAddress } from './config.ts';
import { controlPlaneMetrics } from './control-plane-metrics.ts';
import type { ControlPlaneParts } from './control-plane-parts.ts';
import { debugPages } from './debug-pages.ts';
import { DeliveryReport } from './delivery-report.ts';
import type { Environment } from './environment.ts';
import { controlPlaneErrors } from './errors.ts';
import { openFolderEnvironment } from './folder-environment.ts';
import { openAuthority } from './issuing-authority.ts';
import { MeshController, makeResourceCache } from './mesh-controller.ts';
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

  /**
   * Resolves when clients are served; probes are answered from the beginning on. Rejects with an AmbitError when
   * something it needs cannot be had.
   */
  static async start(config: ControlPlaneConfig): Promise<ControlPlaneServer> {
    await using stack = new AsyncDisposableStack();
    const pages = new ProbePages();
    const httpPort = await servePages(config.http, pages, stack);
    const environment = stack.use(await openEnvironment(config));
    const parts = await assemble(config, environment, stack);
    parts.controller.start();
    const xdsPort = await serveProxies(config.listen, parts, stack);
    environment.lead(parts.controller);
    stack.defer(() => environment.retire());
    pages.begin(parts);
    stack.defer(() => pages.end());
    log.info('serving', { xds: xdsPort, http: httpPort });
    return new ControlPlaneServer(stack.move(), xdsPort, httpPort);
  }

  /** Ends every call and closes everything; proxies keep what they have and come back. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.#stack.disposeAsync();
  }
}

/** The library for Kubernetes is only loaded where there is one. */
async function openEnvironment(config: ControlPlaneConfig): Promise<Environment> {
  if (config.kind === 'folder') return openFolderEnvironment(config);
  const { openKubernetesEnvironment } = await import('./kubernetes/kubernetes-environment.ts');
  return openKubernetesEnvironment(config);
}

async function assemble(
  config: ControlPlaneConfig,
  environment: Environment,
  stack: AsyncDisposableStack,
): Promise<ControlPlaneParts> {
  const { source } = environment;
  const pods = new PodRegistry();
  stack.defer(pods.follow(source));
  const issuing = stack.use(await openAuthority(config, environment, pods));
  const authenticate = authenticator(environment.tokens);
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
  return { environment, source, controller, issuing, xds, authenticate };
}

/** Whose token cannot be verified now must not be told that it is nobody's. */
function authenticator(tokens: TokenVerifier): Authenticate<Caller> {
  return async (call) => {
    const token = bearerToken(call);
    if (token === undefined) return undefined;
    try {
      return await tokens.verify(token);
    } catch (thrown) {
      const isPassing = thrown instanceof AmbitError && grpcStatusOf(thrown) === 'UNAVAILABLE';
      if (!isPassing) throw thrown;
      throw errorOfStatus({ code: GRPC_STATUS.UNAVAILABLE, message: thrown.message }, thrown);
    }
  };
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
  pages: ProbePages,
  stack: AsyncDisposableStack,
): Promise<number> {
  const endpoint = new HttpEndpoint(pages.routes, pages.localRoutes);
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

/** Probes are answered all the time; what shows the parts comes with them. */
class ProbePages {
  readonly routes: Record<string, EndpointHandler>;
  /** What shows the mesh is for who may forward ports to this pod. */
  readonly localRoutes: Record<string, EndpointHandler> = {};
  #state: 'starting' | 'ready' | 'stopping' = 'starting';

  constructor() {
    this.routes = {
      'GET /healthz': () => ({ body: 'ok\n' }),
      'GET /readyz': () =>
        this.#state === 'ready' ? { body: 'ok\n' } : { status: 503, body: `${this.#state}\n` },
    };
  }

  begin(parts: ControlPlaneParts): void {
    const metrics = controlPlaneMetrics(parts);
    Object.assign(this.localRoutes, debugPages(parts));
    this.routes['GET /metrics'] = ({ accept }: EndpointRequest) => metrics.render(accept);
    this.#state = 'ready';
  }

  end(): void {
    this.#state = 'stopping';
  }
}
