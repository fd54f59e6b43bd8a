/** The JSON that the CNI plugin sends, as Istio's plugin writes it. */

import { type IpAddress, parseIp } from '../base/ip.ts';
import type { SandboxRequest } from './enrolment-manager.ts';
import { cniErrors } from './errors.ts';

/** Linux: PATH_MAX. */
const MAX_PATH_LENGTH = 4096;
/** Kubernetes: a pod's name is a DNS subdomain. */
const MAX_NAME_LENGTH = 253;
/** A pod has one address per family, and some more on further interfaces. */
const MAX_ADDRESSES = 64;

type Fields = Readonly<Record<string, unknown>>;

/** Reads the body of `/cmdadd`. @throws AMBIT_CNI_PLUGIN_REQUEST_INVALID */
export function readSandboxRequest(body: string): SandboxRequest {
  const fields = parseObject(body);
  const { IPs: ips = [], PodUID: uid } = fields;
  if (ips !== null && !Array.isArray(ips)) throw invalid('IPs is not a list');
  if (uid !== undefined && !isText(uid, MAX_NAME_LENGTH)) throw invalid('PodUID is not a text');
  return {
    namespace: textOf(fields, 'PodNamespace', MAX_NAME_LENGTH),
    name: textOf(fields, 'PodName', MAX_NAME_LENGTH),
    netnsPath: pathOf(fields),
    ips: (ips ?? []).slice(0, MAX_ADDRESSES).map(addressOf),
    uid,
  };
}

/** Reads the body of `/cmddel`: the path of the namespace, '' when the runtime does not know it any more. */
export function readSandboxEnd(body: string): string {
  const fields = parseObject(body);
  return fields.Netns === undefined || fields.Netns === '' ? '' : pathOf(fields);
}

function pathOf(fields: Fields): string {
  const path = textOf(fields, 'Netns', MAX_PATH_LENGTH);
  if (!path.startsWith('/') || path.includes('\0')) throw invalid('Netns is not an absolute path');
  return path;
}

/** `{ Address: { IP, Mask } }`, Go's form of a network, or `{ Address: "ip/length" }`. */
function addressOf(entry: unknown): IpAddress {
  const address = isFields(entry) ? entry.Address : undefined;
  const text = isFields(address) ? address.IP : address;
  const ip = typeof text === 'string' ? parseIp(text.split('/')[0]!) : undefined;
  if (ip === undefined) throw invalid('an address in IPs is not an IP address');
  return ip;
}

function parseObject(body: string): Fields {
  let value: unknown;
  try {
    value = JSON.parse(body);
  } catch (thrown) {
    throw invalid('the body is not JSON', thrown);
  }
  if (!isFields(value)) throw invalid('the body is not an object');
  return value;
}

function textOf(fields: Fields, name: string, maxLength: number): string {
  const value = fields[name];
  if (!isText(value, maxLength)) throw invalid(`${name} is missing or not a text`);
  return value;
}

function isText(value: unknown, maxLength: number): value is string {
  return typeof value === 'string' && value !== '' && value.length <= maxLength;
}

function isFields(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function invalid(what: string, cause?: unknown): Error {
  return cniErrors.AMBIT_CNI_PLUGIN_REQUEST_INVALID(`request of the CNI plugin: ${what}`, cause);
}
