/** What a container of a pod runs: the sandbox's images, the environment, and Kubernetes' $(NAME) references. */

import { fileURLToPath } from 'node:url';
import type { Container, StoredPod } from '../api/kube-object.ts';

/** A container ready to be started. */
export interface ContainerCommand {
  readonly kind: 'command';
  readonly argv: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly workingDirectory: string | undefined;
}

/** Why a container cannot be started, in the words that Kubernetes uses for the reason. */
export interface ContainerFault {
  readonly kind: 'fault';
  readonly reason: 'ErrImagePull' | 'CreateContainerConfigError' | 'RunContainerError';
  readonly message: string;
}

const MAIN = fileURLToPath(new URL('../../main.ts', import.meta.url));
const BIN = fileURLToPath(new URL('../../../bin', import.meta.url));
/** The program itself, whatever PATH says. */
const AMBIT = [process.execPath, '--disable-warning=ExperimentalWarning', MAIN];
/** Containers find `ambit` too, and the system tools wherever the host keeps them. */
const CONTAINER_PATH = `${BIN}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin`;

interface Image {
  readonly entrypoint: readonly string[];
  readonly defaultArgs: readonly string[];
}

/** What there is instead of a registry. A tag means nothing. */
const IMAGES: Readonly<Record<string, Image>> = {
  host: { entrypoint: [], defaultArgs: [] },
  'ambit/echo': { entrypoint: [...AMBIT, 'echo'], defaultArgs: ['server'] },
  'ambit/ambit': { entrypoint: AMBIT, defaultArgs: ['--help'] },
};

/** The pod must have its node and addresses. */
export function containerCommand(pod: StoredPod, container: Container): ContainerCommand | ContainerFault {
  const image = IMAGES[(container.image ?? '').replace(/:[\w.-]+$/, '')];
  if (image === undefined) {
    const known = Object.keys(IMAGES).join(', ');
    return fault('ErrImagePull', `there is no image ${container.image} in a sandbox: it has ${known}`);
  }
  const environment = containerEnvironment(pod, container);
  if (environment.kind === 'fault') return environment;
  const { env } = environment;
  const expand = (text: string) => expandReferences(text, env);
  const argv = commandLine(image, container).map(expand);
  if (argv.length === 0) {
    return fault(
      'CreateContainerConfigError',
      `image ${container.image} has no command of its own: give one`,
    );
  }
  return { kind: 'command', argv, env, workingDirectory: container.workingDir };
}

/** `command` takes the place of the image's entry point and its arguments, `args` of its arguments alone. */
function commandLine(image: Image, { command, args }: Container): readonly string[] {
  if (command !== undefined && command.length > 0) return [...command, ...(args ?? [])];
  return [...image.entrypoint, ...(args ?? image.defaultArgs)];
}

interface Environment {
  readonly kind: 'environment';
  readonly env: Readonly<Record<string, string>>;
}

function containerEnvironment(pod: StoredPod, container: Container): Environment | ContainerFault {
  const { name, namespace } = pod.metadata;
  const cache = process.env.NODE_COMPILE_CACHE;
  const env: Record<string, string> = {
    // Half of what a small Node program costs at its start is reading its source.
    ...(cache === undefined ? {} : { NODE_COMPILE_CACHE: cache }),
    PATH: CONTAINER_PATH,
    HOME: '/',
    HOSTNAME: pod.spec?.hostname ?? name,
    POD_NAME: name,
    POD_NAMESPACE: namespace,
    NODE_NAME: pod.spec?.nodeName ?? '',
  };
  if (container.envFrom !== undefined) {
    return fault('CreateContainerConfigError', 'envFrom is not supported in a sandbox: write env instead');
  }
  for (const { name: key, value, valueFrom } of container.env ?? []) {
    const path = valueFrom?.fieldRef?.fieldPath;
    const found = valueFrom === undefined ? expandReferences(value ?? '', env) : fieldValue(pod, path ?? '');
    if (found === undefined) {
      const what = path === undefined ? 'valueFrom other than fieldRef' : `fieldPath ${path}`;
      return fault('CreateContainerConfigError', `env ${key}: ${what} is not supported in a sandbox`);
    }
    env[key] = found;
  }
  return { kind: 'environment', env };
}

/** The downward API. */
function fieldValue(pod: StoredPod, path: string): string | undefined {
  const { metadata, spec, status } = pod;
  const keyed = /^metadata\.(labels|annotations)\['(.+)'\]$/.exec(path);
  if (keyed !== null) return metadata[keyed[1] as 'labels' | 'annotations']?.[keyed[2]!] ?? '';
  const values: Readonly<Record<string, string | undefined>> = {
    'metadata.name': metadata.name,
    'metadata.namespace': metadata.namespace,
    'metadata.uid': metadata.uid,
    'spec.nodeName': spec?.nodeName,
    'spec.serviceAccountName': spec?.serviceAccountName,
    'status.hostIP': status?.hostIP,
    'status.podIP': status?.podIP,
    'status.podIPs': status?.podIPs?.map((one) => one.ip).join(','),
  };
  return values[path];
}

/** `$(NAME)` is replaced where NAME is known, `$$` is a dollar sign; anything else stays. */
export function expandReferences(text: string, env: Readonly<Record<string, string>>): string {
  return text.replace(/\$(?:\$|\(([^()]+)\))/g, (whole, name?: string) => {
    if (name === undefined) return '$';
    return Object.hasOwn(env, name) ? env[name]! : whole;
  });
}

function fault(reason: ContainerFault['reason'], message: string): ContainerFault {
  return { kind: 'fault', reason, message };
}
