/** Makes a CustomResourceDefinition out of what is special about one kind. */

import type { JsonSchema } from './schema-parts.ts';

export interface PrinterColumn {
  readonly name: string;
  readonly type: 'string' | 'date';
  readonly jsonPath: string;
  readonly description: string;
  /** Above 0: only in wide output. */
  readonly priority?: number;
}

export interface CustomResource {
  readonly group: string;
  readonly kind: string;
  readonly plural: string;
  readonly shortName: string;
  /** All have the same schema; objects are stored as the first one. */
  readonly versions: readonly string[];
  readonly columns: readonly PrinterColumn[];
  readonly spec: JsonSchema;
  readonly status: JsonSchema;
  readonly specRequired: boolean;
}

const AGE: PrinterColumn = {
  name: 'Age',
  type: 'date',
  jsonPath: '.metadata.creationTimestamp',
  description: 'Time since the object was made.',
};

/** The manifest of the definition. */
export function definitionOf(resource: CustomResource): object {
  const { group, kind, plural, shortName } = resource;
  return {
    apiVersion: 'apiextensions.k8s.io/v1',
    kind: 'CustomResourceDefinition',
    metadata: {
      name: `${plural}.${group}`,
      labels: { 'app.kubernetes.io/name': 'ambit', 'app.kubernetes.io/part-of': 'ambit' },
    },
    spec: {
      group,
      scope: 'Namespaced',
      names: {
        kind,
        listKind: `${kind}List`,
        plural,
        singular: kind.toLowerCase(),
        shortNames: [shortName],
        categories: ['istio-io', `${group.split('.')[0]}-istio-io`],
      },
      versions: resource.versions.map((name, at) => versionOf(resource, name, at === 0)),
    },
  };
}

function versionOf({ spec, status, specRequired, columns }: CustomResource, name: string, storage: boolean) {
  return {
    name,
    served: true,
    storage,
    subresources: { status: {} },
    additionalPrinterColumns: [...columns, AGE],
    schema: {
      openAPIV3Schema: {
        type: 'object',
        ...(specRequired ? { required: ['spec'] } : {}),
        properties: { spec, status },
      },
    },
  };
}
