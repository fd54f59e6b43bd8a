/** Certificates for tests, made by the openssl command: P-256 keys, SPIFFE names, any mistake one may want. */

import { execFileSync } from 'node:child_process';
import { X509Certificate } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export interface CertificateAuthority {
  readonly certificatePem: string;
  readonly privateKeyPem: string;
  /** What a leaf of this authority sends along: its own certificate unless it is a root, then those above it. */
  readonly intermediatesPem: string;
}

export interface Leaf {
  /** The leaf alone. */
  readonly certificatePem: string;
  /** Leaf first, then intermediates. */
  readonly chainPem: string;
  readonly privateKeyPem: string;
}

export interface LeafOptions {
  /** URI name; none when left out. */
  readonly spiffeId?: string;
  readonly dnsName?: string;
  /** `clientAuth,serverAuth` when left out. */
  readonly purposes?: string;
  /** A leaf that was valid only long ago. */
  readonly expired?: boolean;
}

/** A self-signed root. */
export function makeRoot(name: string): CertificateAuthority {
  return inScratch((folder) => {
    const privateKeyPem = makeKey(folder);
    const extensions = ['basicConstraints=critical,CA:TRUE', 'keyUsage=critical,keyCertSign,cRLSign'];
    const certificatePem = sign(folder, { name, extensions, privateKeyPem });
    return { certificatePem, privateKeyPem, intermediatesPem: '' };
  });
}

/** An authority certified by another one. */
export function makeIntermediate(issuer: CertificateAuthority, name: string): CertificateAuthority {
  return inScratch((folder) => {
    const privateKeyPem = makeKey(folder);
    const extensions = ['basicConstraints=critical,CA:TRUE', 'keyUsage=critical,keyCertSign,cRLSign'];
    const certificatePem = sign(folder, { name, extensions, privateKeyPem, issuer });
    return { certificatePem, privateKeyPem, intermediatesPem: certificatePem + issuer.intermediatesPem };
  });
}

export function makeLeaf(issuer: CertificateAuthority, options: LeafOptions): Leaf {
  return inScratch((folder) => {
    const privateKeyPem = makeKey(folder);
    const names = [
      ...(options.spiffeId === undefined ? [] : [`URI:${options.spiffeId}`]),
      ...(options.dnsName === undefined ? [] : [`DNS:${options.dnsName}`]),
    ];
    const extensions = [
      'basicConstraints=critical,CA:FALSE',
      'keyUsage=critical,digitalSignature',
      `extendedKeyUsage=${options.purposes ?? 'clientAuth,serverAuth'}`,
      ...(names.length === 0 ? [] : [`subjectAltName=critical,${names.join(',')}`]),
    ];
    const expired = options.expired ?? false;
    const certificatePem = sign(folder, { name: 'workload', extensions, privateKeyPem, issuer, expired });
    return { certificatePem, chainPem: certificatePem + issuer.intermediatesPem, privateKeyPem };
  });
}

/** A revocation list of the authority, in PEM, with these certificates on it. */
export function makeRevocationList(issuer: CertificateAuthority, ...revoked: readonly Leaf[]): string {
  return inScratch((folder) => {
    const entries = revoked.map((leaf) => {
      const { serialNumber } = new X509Certificate(leaf.certificatePem);
      return `R\t991231235959Z\t260101000000Z,keyCompromise\t${serialNumber}\tunknown\t/CN=workload\n`;
    });
    writeFileSync(join(folder, 'index.txt'), entries.join(''));
    writeFileSync(join(folder, 'index.txt.attr'), 'unique_subject = no\n');
    writeFileSync(join(folder, 'issuer-key.pem'), issuer.privateKeyPem);
    writeFileSync(join(folder, 'issuer.pem'), issuer.certificatePem);
    const configuration = join(folder, 'ca.cnf');
    writeFileSync(configuration, caConfiguration(folder, []));
    const by = ['-cert', join(folder, 'issuer.pem'), '-keyfile', join(folder, 'issuer-key.pem')];
    const out = join(folder, 'list.pem');
    openssl(['ca', '-gencrl', '-config', configuration, ...by, '-crldays', '7', '-out', out]);
    return readFileSync(out, 'utf8');
  });
}

interface Signing {
  readonly name: string;
  readonly extensions: readonly string[];
  readonly privateKeyPem: string;
  readonly issuer?: CertificateAuthority;
  readonly expired?: boolean;
}

function makeKey(folder: string): string {
  const file = join(folder, 'key.pem');
  const curve = ['-algorithm', 'EC', '-pkeyopt', 'ec_paramgen_curve:P-256'];
  openssl(['genpkey', ...curve, '-out', file]);
  return readFileSync(file, 'utf8');
}

/** A certificate for the key in `key.pem`, by an `openssl ca` of one-off use, which alone can date back. */
function sign(folder: string, signing: Signing): string {
  const key = join(folder, 'key.pem');
  const request = join(folder, 'request.pem');
  openssl(['req', '-new', '-key', key, '-subj', `/CN=${signing.name}`, '-out', request]);
  const issuerKey = join(folder, 'issuer-key.pem');
  const issuerFile = join(folder, 'issuer.pem');
  writeFileSync(issuerKey, signing.issuer?.privateKeyPem ?? signing.privateKeyPem);
  writeFileSync(issuerFile, signing.issuer?.certificatePem ?? '');
  writeFileSync(join(folder, 'index.txt'), '');
  writeFileSync(join(folder, 'index.txt.attr'), 'unique_subject = no\n');
  const configuration = join(folder, 'ca.cnf');
  writeFileSync(configuration, caConfiguration(folder, signing.extensions));
  const [start, end] =
    signing.expired === true ? ['200101000000Z', '200102000000Z'] : ['200101000000Z', '491231235959Z'];
  const out = join(folder, 'certificate.pem');
  const by =
    signing.issuer === undefined
      ? ['-selfsign', '-keyfile', key]
      : ['-cert', issuerFile, '-keyfile', issuerKey];
  const dates = ['-startdate', start!, '-enddate', end!];
  openssl([
    'ca',
    '-batch',
    '-notext',
    '-config',
    configuration,
    ...by,
    ...dates,
    '-in',
    request,
    '-out',
    out,
  ]);
  return readFileSync(out, 'utf8');
}

function caConfiguration(folder: string, extensions: readonly string[]): string {
  return [
    '[ca]',
    'default_ca = authority',
    '[authority]',
    `dir = ${folder}`,
    `database = ${folder}/index.txt`,
    `new_certs_dir = ${folder}`,
    'rand_serial = yes',
    'default_md = sha256',
    'policy = policy',
    'x509_extensions = extensions',
    '[policy]',
    'commonName = supplied',
    '[extensions]',
    'subjectKeyIdentifier = hash',
    'authorityKeyIdentifier = keyid',
    ...extensions,
    '',
  ].join('\n');
}

function openssl(args: readonly string[]): void {
  execFileSync('openssl', args, { stdio: ['ignore', 'ignore', 'pipe'] });
}

function inScratch<T>(action: (folder: string) => T): T {
  const folder = mkdtempSync(join(tmpdir(), 'ambit-certificates-'));
  try {
    return action(folder);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
