/** Issues the service account tokens of a sandbox, as the API server and the kubelet do together. */

import { generateKeyPairSync } from 'node:crypto';
import { mkdirSync, renameSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { mintToken, type TokenSubject } from '../../controlplane/ca/mint-token.ts';

export class TokenIssuer {
  readonly #privateKey: string;

  /** Writes the key that verifies the tokens; the one that signs them never leaves this process. */
  constructor(publicKeyFile: string) {
    const { privateKey, publicKey } = generateKeyPairSync('ec', {
      namedCurve: 'P-256',
      publicKeyEncoding: { type: 'spki', format: 'pem' },
      privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
    });
    this.#privateKey = privateKey;
    writeFileSync(publicKeyFile, publicKey);
  }

  /** Replaces the file in one step: whoever reads it gets the old token or the new one. */
  async write(file: string, subject: TokenSubject): Promise<void> {
    const token = await mintToken(this.#privateKey, subject);
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(`${file}.draft`, token, { mode: 0o600 });
    renameSync(`${file}.draft`, file);
  }
}
