/** The bill of materials of an image in CycloneDX: npm packages of the bundle, Debian packages, Node and what is in it. */

import { execFileSync } from 'node:child_process';
import type { BundledPackage } from './bundled-packages.ts';
import type { DebianPackage } from './debian-packages.ts';

/** What an image is made of. */
export interface Ingredients {
  readonly name: string;
  readonly version: string;
  readonly npmPackages: readonly BundledPackage[];
  readonly debianPackages: readonly DebianPackage[];
  /** `process.versions` of the Node in it. */
  readonly nodeVersions: Readonly<Record<string, string>>;
}

interface Component {
  readonly 'bom-ref': string;
  readonly type: 'library' | 'application' | 'container';
  readonly name: string;
  readonly version: string;
  readonly purl?: string | undefined;
  readonly licenses?: unknown;
  readonly hashes?: unknown;
  readonly components?: readonly Component[];
}

/** Names in `process.versions` that stand for a version of an interface, not of software. */
const INTERFACES = ['node', 'modules', 'napi'];

/** @param root of the repository, where npm reads the lockfile */
export function makeSbom(root: string, ingredients: Ingredients): string {
  const { name, version, npmPackages, debianPackages, nodeVersions } = ingredients;
  const bom = {
    $schema: 'http://cyclonedx.org/schema/bom-1.5.schema.json',
    bomFormat: 'CycloneDX',
    specVersion: '1.5',
    version: 1,
    metadata: {
      component: { 'bom-ref': `pkg:oci/${name}@${version}`, type: 'container', name, version },
    },
    components: [
      ...npmComponents(root, npmPackages),
      nodeComponent(nodeVersions),
      ...debianPackages.map(debianComponent),
    ],
  };
  return `${JSON.stringify(bom, undefined, 2)}\n`;
}

/** Those that npm knows of the lockfile, with their digests and licences, as far as they are in the bundle. */
function npmComponents(root: string, packages: readonly BundledPackage[]): Component[] {
  const output = execFileSync('npm', ['sbom', '--package-lock-only', '--sbom-format', 'cyclonedx'], {
    cwd: root,
    encoding: 'utf8',
    maxBuffer: 64 << 20,
  });
  const { components }: { components: readonly Component[] } = JSON.parse(output);
  return packages.map(({ name, version }) => {
    const found = components.find((one) => one.purl === purlOf(name, version));
    if (found === undefined) throw new Error(`${name} ${version} is in the bundle and not in the lockfile`);
    const { purl, licenses, hashes } = found;
    return { 'bom-ref': `${name}@${version}`, type: 'library', name, version, ...{ purl, licenses, hashes } };
  });
}

/** Package URL: the @ of a scope is escaped. */
function purlOf(name: string, version: string): string {
  return `pkg:npm/${name.replace('@', '%40')}@${version}`;
}

function nodeComponent(versions: Readonly<Record<string, string>>): Component {
  const inside = Object.entries(versions).filter(([name]) => !INTERFACES.includes(name));
  return {
    ...genericComponent('node', versions.node ?? ''),
    type: 'application',
    components: inside.map(([name, version]) => genericComponent(name, version)),
  };
}

function genericComponent(name: string, version: string): Component {
  const purl = `pkg:generic/${name}@${version}`;
  return { 'bom-ref': purl, type: 'library', name, version, purl };
}

function debianComponent({ name, version, architecture }: DebianPackage): Component {
  const purl = `pkg:deb/debian/${name}@${encodeURIComponent(version)}?arch=${architecture}`;
  return { 'bom-ref': purl, type: 'library', name, version, purl };
}
