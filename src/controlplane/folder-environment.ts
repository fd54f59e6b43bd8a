/** A mesh without Kubernetes: objects in a folder, the CA in another one, tokens signed with one key. */

import { messageOf } from '../base/errors.ts';
import { systemClock } from '../identity/clock.ts';
import { FolderSource } from '../objects/folder-source.ts';
import { AuthorityDirectory } from './ca/authority-directory.ts';
import { SelfSignedAuthority } from './ca/self-signed-authority.ts';
import { StaticKeyTokenVerifier } from './ca/static-key-token-verifier.ts';
import type { FolderConfig } from './config.ts';
import type { Environment } from './environment.ts';
import { controlPlaneErrors } from './errors.ts';
import { publishRoots } from './root-publisher.ts';

/** Name of this process among those that write to the objects. */
const WRITER = 'controlplane';

/** Rejects with AMBIT_CONTROLPLANE_CONFIG_INVALID, and with the errors of the CA and of the folder. */
export async function openFolderEnvironment(config: FolderConfig): Promise<Environment> {
  await using stack = new AsyncDisposableStack();
  const { trustDomain, caDir } = config;
  const tokens = openTokenKey(config.tokenKey);
  const store = new AuthorityDirectory(caDir, systemClock);
  const signing = await SelfSignedAuthority.open({ store, trustDomain });
  stack.defer(() => signing.close());
  const source = new FolderSource({ folder: config.objects, writer: WRITER });
  stack.defer(() => source.stop());
  await source.start();
  const open = stack.move();
  return {
    source,
    tokens,
    signing,
    describe: () => ({ key: 'own', rotation: signing.rotation }),
    publishRoots: (authority) => open.defer(publishRoots(authority, caDir)),
    lead: (controller) => controller.startWriting(),
    retire: async () => {},
    [Symbol.asyncDispose]: () => open.disposeAsync(),
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
