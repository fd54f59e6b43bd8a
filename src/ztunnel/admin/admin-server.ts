/** The admin page on port 15000 of the loopback: config dump, log levels, profile, shutdown; same paths as Istio's. */

import {
  type EndpointRequest,
  type EndpointResponse,
  HttpEndpoint,
  jsonResponse,
} from '../../telemetry/http-endpoint.ts';
import { logLevels } from '../../telemetry/log.ts';
import { cpuProfile } from './cpu-profile.ts';

const MAX_PROFILE_SECONDS = 300;
const MAX_PROFILE_FREQUENCY = 1000;

/** What the admin page shows and does. */
export interface AdminActions {
  configDump(): Promise<object>;
  /** Applies a level specification; undefined resets. Returns the part that is not understood. */
  setLogLevels(specification: string | undefined): string | undefined;
  shutdown(): void;
}

const INDEX = `ambit ztunnel
  GET  /config_dump            everything this proxy knows and does, as JSON
  GET  /logging                levels in force
  POST /logging?level=SPEC     set levels: debug, access=debug,info; ?reset sets them back
  GET  /debug/pprof/profile    CPU profile of the control thread; ?seconds=1..300&frequency=1..1000
  POST /quitquitquit           drain and stop
`;

export function adminEndpoint(actions: AdminActions): HttpEndpoint {
  return new HttpEndpoint({
    'GET /': () => ({ body: INDEX }),
    'GET /config_dump': async () => jsonResponse(await actions.configDump()),
    'GET /logging': () => ({ body: `current log level is ${logLevels()}\n` }),
    'POST /logging': (request) => changeLogging(request, actions),
    'GET /debug/pprof/profile': profile,
    'POST /quitquitquit': () => {
      actions.shutdown();
      return { body: 'shutdown now\n' };
    },
  });
}

function changeLogging(request: EndpointRequest, actions: AdminActions): EndpointResponse {
  const query = request.url.searchParams;
  const level = query.get('level') ?? undefined;
  if (level === undefined && !query.has('reset')) return { body: `current log level is ${logLevels()}\n` };
  const wrong = actions.setLogLevels(query.has('reset') ? undefined : level);
  if (wrong !== undefined) return { status: 400, body: `invalid level: ${wrong}\n` };
  return { body: `current log level is ${logLevels()}\n` };
}

async function profile(request: EndpointRequest): Promise<EndpointResponse> {
  const seconds = numberIn(request, 'seconds', 10, MAX_PROFILE_SECONDS);
  const frequency = numberIn(request, 'frequency', 100, MAX_PROFILE_FREQUENCY);
  if (seconds === undefined || frequency === undefined) {
    return { status: 400, body: 'seconds must be 1 to 300 and frequency 1 to 1000\n' };
  }
  return { contentType: 'application/json', body: await cpuProfile(seconds, frequency) };
}

function numberIn(request: EndpointRequest, name: string, fallback: number, max: number): number | undefined {
  const value = Number(request.url.searchParams.get(name) ?? fallback);
  return Number.isInteger(value) && value >= 1 && value <= max ? value : undefined;
}
