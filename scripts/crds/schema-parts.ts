/** The vocabulary that the schemas of our custom resources are written in, and the parts that they share. */

/** OpenAPI v3 as a CustomResourceDefinition takes it. */
export interface JsonSchema {
  readonly type?: 'object' | 'array' | 'string' | 'integer';
  readonly description?: string;
  readonly properties?: Readonly<Record<string, JsonSchema>>;
  readonly additionalProperties?: JsonSchema;
  readonly items?: JsonSchema;
  readonly required?: readonly string[];
  readonly enum?: readonly string[];
  readonly format?: string;
  readonly pattern?: string;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly minItems?: number;
  readonly maxItems?: number;
  readonly minLength?: number;
  readonly maxLength?: number;
  readonly minProperties?: number;
  readonly maxProperties?: number;
  readonly 'x-kubernetes-validations'?: readonly ValidationRule[];
  readonly 'x-kubernetes-preserve-unknown-fields'?: true;
  readonly 'x-kubernetes-int-or-string'?: true;
}

/** A rule in CEL that a value must fulfil. */
export interface ValidationRule {
  readonly rule: string;
  readonly message: string;
}

export function text(description: string, limits: Partial<JsonSchema> = {}): JsonSchema {
  return { type: 'string', description, ...limits };
}

export function choice(description: string, ...values: readonly string[]): JsonSchema {
  return { type: 'string', description, enum: values };
}

export function wholeNumber(description: string, minimum: number, maximum: number): JsonSchema {
  return { type: 'integer', description, minimum, maximum };
}

export function portNumber(description: string): JsonSchema {
  return wholeNumber(description, 1, 65_535);
}

export function list(description: string, items: JsonSchema, limits: Partial<JsonSchema> = {}): JsonSchema {
  return { type: 'array', description, items, ...limits };
}

export function textList(description: string, limits: Partial<JsonSchema> = {}): JsonSchema {
  return list(description, { type: 'string' }, limits);
}

export function mapOf(
  description: string,
  additionalProperties: JsonSchema,
  limits: Partial<JsonSchema> = {},
): JsonSchema {
  return { type: 'object', description, additionalProperties, ...limits };
}

export function record(
  description: string,
  properties: Readonly<Record<string, JsonSchema>>,
  limits: Partial<JsonSchema> = {},
): JsonSchema {
  return { type: 'object', description, properties, ...limits };
}

/** Which pods of the namespace a policy is for. */
export const WORKLOAD_SELECTOR = record('The pods that are meant, by their labels; all of them when empty.', {
  matchLabels: mapOf(
    'Labels that a pod must all have.',
    { type: 'string', maxLength: 63 },
    {
      maxProperties: 4096,
      'x-kubernetes-validations': [
        {
          rule: "self.all(key, key.size() != 0 && !key.contains('*'))",
          message: 'a label needs a name, and * does not stand for others in it',
        },
      ],
    },
  ),
});

const CONDITION = record('One thing that a controller has to say about the object.', {
  type: text('What it is about.'),
  status: text('True, False or Unknown.'),
  reason: text('Why, in one word for programs.'),
  message: text('Why, in words for people.'),
  // A 64-bit number, which some writers put into quotes.
  observedGeneration: { description: 'The generation that was judged.', 'x-kubernetes-int-or-string': true },
  lastProbeTime: text('When it was looked at last.', { format: 'date-time' }),
  lastTransitionTime: text('When status changed last.', { format: 'date-time' }),
});

/** Other controllers of a mesh keep fields of their own in the status: they stay. */
export function statusWith(properties: Readonly<Record<string, JsonSchema>> = {}): JsonSchema {
  return record(
    'What controllers say about the object; not for people to write.',
    {
      conditions: list('Everything they have to say.', CONDITION),
      observedGeneration: {
        description: 'The generation that was judged.',
        'x-kubernetes-int-or-string': true,
      },
      ...properties,
    },
    { 'x-kubernetes-preserve-unknown-fields': true },
  );
}
