/** Makes the Helm chart out of the manifests: the table of settings says where values go. */

import { stringify } from 'yaml';
import { VERSION } from '../../src/base/version.ts';
import { type Json, type Manifest, type Path, valueAt, withValueAt } from '../../src/install/manifest.ts';
import { readManifests } from '../../src/install/manifest-files.ts';
import {
  DEFAULT_NAMESPACE,
  IMAGE_SETTINGS,
  imageTargets,
  SETTINGS,
  type Setting,
  type SettingTarget,
} from '../../src/install/settings.ts';
import { defaultValues } from '../../src/install/values.ts';

/**
 * A place is marked in the object, and the mark replaced by template code in the YAML: `@@form:setting@@`.
 * `@@unless:setting:NAME@@` and `@@end@@` surround a variable that the setting may replace.
 */
const MARK = /@@(\w+)(?::([\w.]+))?(?::(\w+))?@@/;
/** As Helm reads it: `yes` without quotes would be a boolean. */
const YAML_VERSION = '1.1';
const NAMESPACE = '{{ .Release.Namespace }}';

const HELPERS = `{{/* The reference of the image: a whole one is taken as it is. */}}
{{- define "ambit.image" -}}
{{- $name := .Values.image }}
{{- with .Values.hub }}{{ $name = printf "%s/%s" (trimSuffix "/" .) $name }}{{ end }}
{{- if regexMatch "[@:]" (base .Values.image) }}{{ $name }}{{ else }}{{ $name }}:{{ .Values.tag }}{{ end }}
{{- end -}}
`;

const NOTES = `Ambit ${VERSION} is installed in {{ .Release.Namespace }}.

Put the pods of a namespace into the mesh:

  kubectl label namespace NAME istio.io/dataplane-mode=ambient
`;

/** Files of the chart by their path in it. */
export function makeChart(): Map<string, string> {
  // Helm makes the namespace itself, or finds it there.
  const base = readManifests('base').filter((manifest) => manifest.kind !== 'Namespace');
  const files = new Map([
    ['Chart.yaml', chartFile()],
    ['values.yaml', valuesFile(base)],
    ['templates/_helpers.tpl', HELPERS],
    ['templates/NOTES.txt', NOTES],
  ]);
  for (const manifest of base) {
    const path = `templates/${fileName(manifest)}`;
    files.set(path, template(manifest));
  }
  for (const crd of readManifests('crds'))
    files.set(`crds/${crd.metadata.name}.yaml`, stringify(crd, { version: YAML_VERSION }));
  return files;
}

function chartFile(): string {
  return stringify({
    apiVersion: 'v2',
    name: 'ambit',
    description: 'An ambient service mesh for Kubernetes',
    type: 'application',
    version: VERSION,
    appVersion: VERSION,
    kubeVersion: '>=1.29.0-0',
  });
}

/** Each setting with its description as a comment above it. */
function valuesFile(manifests: readonly Manifest[]): string {
  const described = new Map([...IMAGE_SETTINGS, ...SETTINGS].map((one) => [one.name, one.description]));
  return valuesLines(defaultValues(manifests), described, '', '').join('\n').trim().concat('\n');
}

function valuesLines(
  values: Json,
  described: ReadonlyMap<string, string>,
  prefix: string,
  indent: string,
): string[] {
  return Object.entries(values ?? {}).flatMap(([key, value]: [string, Json]) => {
    const name = `${prefix}${key}`;
    const description = described.get(name);
    if (description === undefined) {
      return ['', `${indent}${key}:`, ...valuesLines(value, described, `${name}.`, `${indent}  `)];
    }
    const yaml = stringify({ [key]: value }, { version: YAML_VERSION })
      .trimEnd()
      .split('\n');
    return [`# ${description}.`, ...yaml].map((line) => `${indent}${line}`);
  });
}

function fileName({ kind, metadata }: Manifest): string {
  const words = kind.replaceAll(/(?<=[a-z])(?=[A-Z])/g, '-').toLowerCase();
  return `${metadata.name.replace(/^ambit-/, '')}-${words}.yaml`;
}

function template(manifest: Manifest): string {
  let tree: Json = manifest;
  for (const target of imageTargets().filter((one) => isIn(manifest, one))) {
    tree = withValueAt(tree, target.path, '@@image@@');
  }
  for (const setting of SETTINGS) {
    for (const target of setting.targets.filter((one) => isIn(manifest, one))) {
      tree = marked(tree, target.path, setting);
    }
  }
  const yaml = stringify(tree, { lineWidth: 0, version: YAML_VERSION }).replaceAll(
    DEFAULT_NAMESPACE,
    NAMESPACE,
  );
  return yaml.split('\n').map(templateLine).join('\n');
}

function isIn(manifest: Manifest, { kind, object }: SettingTarget): boolean {
  return manifest.kind === kind && manifest.metadata.name === object;
}

function marked(tree: Json, path: Path, { name, form }: Setting): Json {
  const before = valueAt(tree, path);
  switch (form) {
    case 'scalar':
      return withValueAt(tree, path, `@@${scalarMark(before)}:${name}@@`);
    case 'tree':
      return withValueAt(tree, path, `@@tree:${name}@@`);
    case 'entries':
      return withValueAt(tree, [...path, `@@entries:${name}@@`], '');
    case 'environment': {
      const variables = Array.isArray(before) ? before : [];
      const guarded = variables.flatMap((variable: Json) => [
        `@@unless:${name}:${valueAt(variable, ['name'])}@@`,
        variable,
        '@@end@@',
      ]);
      return withValueAt(tree, path, [...guarded, `@@environment:${name}@@`]);
    }
  }
}

/** An empty text where nothing stands is left out: the API server does not keep it. */
function scalarMark(before: Json | undefined): 'number' | 'text' | 'optional' {
  if (before === undefined) return 'optional';
  return typeof before === 'number' ? 'number' : 'text';
}

function templateLine(line: string): string {
  const match = MARK.exec(line);
  if (match === null) return line;
  const [mark, form, setting, variable] = match;
  const indent = /^ */.exec(line)![0].length;
  const head = line.slice(0, match.index).replace(/"$/, '');
  switch (form) {
    case 'image':
      return `${head}{{ include "ambit.image" . | quote }}`;
    case 'number':
      return `${head}{{ .Values.${setting} }}`;
    case 'text':
      return `${head}{{ .Values.${setting} | quote }}`;
    case 'optional':
      return `${' '.repeat(indent)}{{- with .Values.${setting} }}\n${head}{{ . | quote }}\n${' '.repeat(indent)}{{- end }}`;
    case 'tree':
      return `${' '.repeat(indent)}{{- with .Values.${setting} }}\n${head}{{- toYaml . | nindent ${indent + 2} }}\n${' '.repeat(indent)}{{- end }}`;
    case 'entries':
      return `${' '.repeat(indent)}{{- with .Values.${setting} }}{{ toYaml . | nindent ${indent} }}{{ end }}`;
    case 'unless':
      return `${' '.repeat(indent)}{{- if not (hasKey .Values.${setting} "${variable}") }}`;
    case 'end':
      return `${' '.repeat(indent)}{{- end }}`;
    case 'environment':
      return environmentLines(' '.repeat(indent), setting!);
    default:
      throw new Error(`${mark} has no meaning`);
  }
}

function environmentLines(indent: string, setting: string): string {
  return [
    `{{- range $name, $value := .Values.${setting} }}`,
    '- name: {{ $name }}',
    '  value: {{ $value | quote }}',
    '{{- end }}',
  ]
    .map((line) => `${indent}${line}`)
    .join('\n');
}
