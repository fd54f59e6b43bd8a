/** Signing material made elsewhere, in the layout of Istio's `cacerts` Secret or of cert-manager. */

import { caErrors } from './errors.ts';
import { makeSigningMaterial, type SigningMaterial } from './signing-material.ts';

interface Layout {
  readonly key: string;
  readonly certificate: string;
  /** Certificates above the signer; the roots may be among them. */
  readonly chain: string;
  readonly roots: string;
}

const LAYOUTS: readonly Layout[] = [
  { key: 'ca-key.pem', certificate: 'ca-cert.pem', chain: 'cert-chain.pem', roots: 'root-cert.pem' },
  { key: 'tls.key', certificate: 'tls.crt', chain: 'tls.crt', roots: 'ca.crt' },
];

/** Every name that either layout has. */
export const PLUGGED_IN_NAMES: readonly string[] = LAYOUTS.flatMap((layout) => Object.values(layout));

/** Some place that holds texts under names. */
export interface NamedTexts {
  /** As messages call it. */
  readonly place: string;
  has(name: string): boolean;
  /** Throws AMBIT_CA_FILES_INVALID. */
  read(name: string): string;
}

export function hasPluggedInKey(texts: NamedTexts): boolean {
  return layoutOf(texts) !== undefined;
}

/** Throws AMBIT_CA_FILES_INVALID. A chain is of no use where the signer is a root or directly below one. */
export function readPluggedInMaterial(texts: NamedTexts): SigningMaterial {
  const layout = layoutOf(texts);
  if (layout === undefined) throw caErrors.AMBIT_CA_FILES_INVALID(`${texts.place} holds no CA key`);
  const signer = { keyPem: texts.read(layout.key), certificatePem: texts.read(layout.certificate) };
  const chain = texts.has(layout.chain) ? texts.read(layout.chain) : '';
  return makeSigningMaterial(signer, chain, texts.read(layout.roots));
}

function layoutOf(texts: NamedTexts): Layout | undefined {
  return LAYOUTS.find((layout) => texts.has(layout.key));
}
