/** Writes the ASN.1 values that certificates and certificate requests are made of. */

import type { asn1 as Asn1Namespace } from 'node-forge';
import asn1 from 'node-forge/lib/asn1.js';

/** A value to be encoded; a branch that does not apply is undefined and left out. */
export type DerValue = Asn1Namespace.Asn1;

const { Class, Type } = asn1;

/** Years from 2050 on do not fit into a UTCTime (RFC 5280 §4.1.2.5). */
const FIRST_YEAR_OF_GENERALIZED_TIME = 2050;

export function encodeDer(value: DerValue): Uint8Array {
  return Buffer.from(asn1.toDer(value).getBytes(), 'latin1');
}

export function sequence(...items: (DerValue | undefined)[]): DerValue {
  return asn1.create(Class.UNIVERSAL, Type.SEQUENCE, true, present(items));
}

export function set(...items: DerValue[]): DerValue {
  return asn1.create(Class.UNIVERSAL, Type.SET, true, items);
}

/** An object identifier by its content octets, as in OID. */
export function oid(octets: string): DerValue {
  return primitive(Type.OID, octets);
}

/** A non-negative integer, big-endian. */
export function integer(magnitude: Uint8Array): DerValue {
  const octets = latin1(magnitude);
  return primitive(Type.INTEGER, magnitude[0]! >= 0x80 ? `\0${octets}` : octets);
}

export function booleanTrue(): DerValue {
  return primitive(Type.BOOLEAN, '\xff');
}

export function nullValue(): DerValue {
  return primitive(Type.NULL, '');
}

export function octetString(content: Uint8Array): DerValue {
  return primitive(Type.OCTETSTRING, latin1(content));
}

export function bitString(content: Uint8Array, unusedBits = 0): DerValue {
  return primitive(Type.BITSTRING, String.fromCharCode(unusedBits) + latin1(content));
}

export function utf8String(text: string): DerValue {
  return primitive(Type.UTF8, latin1(Buffer.from(text, 'utf8')));
}

/** UTCTime or GeneralizedTime, whichever RFC 5280 prescribes for the year; whole seconds. */
export function time(timeMs: number): DerValue {
  const date = new Date(timeMs);
  const digits = date.toISOString().replace(/\.\d+Z$|[-:T]/g, '');
  if (date.getUTCFullYear() >= FIRST_YEAR_OF_GENERALIZED_TIME) {
    return primitive(Type.GENERALIZEDTIME, `${digits}Z`);
  }
  return primitive(Type.UTCTIME, `${digits.slice(2)}Z`);
}

/** `[number] IMPLICIT` of a primitive type. */
export function contextPrimitive(number: number, content: Uint8Array): DerValue {
  return {
    tagClass: Class.CONTEXT_SPECIFIC,
    type: number as Asn1Namespace.Type,
    constructed: false,
    composed: false,
    value: latin1(content),
  };
}

/** `[number] EXPLICIT`, or IMPLICIT of a constructed type. */
export function contextConstructed(number: number, ...items: DerValue[]): DerValue {
  return asn1.create(Class.CONTEXT_SPECIFIC, number as Asn1Namespace.Type, true, items);
}

/** One element that is DER already, such as a name copied from a certificate; it must be well-formed. */
export function encoded(der: Uint8Array): DerValue {
  const lengthOctets = der[1]! < 0x80 ? 0 : der[1]! & 0x7f;
  return {
    tagClass: (der[0]! & 0xc0) as Asn1Namespace.Class,
    type: (der[0]! & 0x3f) as Asn1Namespace.Type,
    constructed: false,
    composed: false,
    value: latin1(der.subarray(2 + lengthOctets)),
  };
}

function primitive(type: Asn1Namespace.Type, content: string): DerValue {
  return asn1.create(Class.UNIVERSAL, type, false, content);
}

function present(items: readonly (DerValue | undefined)[]): DerValue[] {
  return items.filter((item) => item !== undefined);
}

function latin1(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('latin1');
}
