/** A private key held in this process, and what may be done with it. */

import { createPrivateKey, createPublicKey, generateKeyPairSync, type KeyObject, sign } from 'node:crypto';
import { identityErrors } from './errors.ts';
import { algorithmFor, isSupportedKey, type SignatureAlgorithm } from './signature-algorithm.ts';

/**
 * The private part is a private field, so that neither a log line nor a JSON dump nor a message to another thread
 * can carry it by accident; it leaves only through {@link KeyPair.exportPkcs8Pem}.
 */
export class KeyPair {
  readonly #privateKey: KeyObject;
  /** SubjectPublicKeyInfo in DER. */
  readonly publicKeyDer: Uint8Array;
  readonly algorithm: SignatureAlgorithm;

  private constructor(privateKey: KeyObject) {
    this.#privateKey = privateKey;
    this.publicKeyDer = createPublicKey(privateKey).export({ type: 'spki', format: 'der' });
    this.algorithm = algorithmFor(privateKey);
  }

  /** A new key on P-256, which every mesh component understands. */
  static generate(): KeyPair {
    return new KeyPair(generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey);
  }

  /** Reads an unencrypted PEM key (PKCS#8, SEC 1 or PKCS#1); throws AMBIT_KEY_UNSUPPORTED. */
  static fromPem(pem: string): KeyPair {
    let key: KeyObject;
    try {
      key = createPrivateKey(pem);
    } catch (cause) {
      throw identityErrors.AMBIT_KEY_UNSUPPORTED('the private key cannot be read', cause);
    }
    if (isSupportedKey(key)) return new KeyPair(key);
    throw identityErrors.AMBIT_KEY_UNSUPPORTED(
      `a private key of type ${key.asymmetricKeyType} is not usable`,
    );
  }

  /** A signature by {@link KeyPair.algorithm}. */
  sign(data: Uint8Array): Uint8Array {
    return sign(this.algorithm.hash, data, this.#privateKey);
  }

  /** For OpenSSL in this process, and for the file in which a CA keeps its key. */
  exportPkcs8Pem(): string {
    return this.#privateKey.export({ type: 'pkcs8', format: 'pem' });
  }
}
