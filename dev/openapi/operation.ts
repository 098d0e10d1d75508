import * as z from 'zod';

/** A JSON Schema, as OpenAPI 3.1 holds it. */
export type JsonSchema = Readonly<Record<string, unknown>>;

/** One route and method of the service. */
export interface Operation {
  /** Unique: clients name their methods after it. */
  readonly id: string;
  readonly method: 'get' | 'post' | 'delete';
  /** With `{name}` for its parameters. */
  readonly path: string;
  readonly tag: string;
  readonly summary: string;
  /** Anyone may call it. */
  readonly isOpen?: boolean;
  readonly query?: Readonly<Record<string, JsonSchema>>;
  readonly body?: Body;
  readonly answers: Readonly<Record<number, Answer>>;
  /** The statuses of its errors beside those of every keyed route. */
  readonly errors?: readonly number[];
}

export interface Body {
  readonly contentType?: string;
  readonly schema: JsonSchema;
  /** A test sends each of them. */
  readonly examples: Readonly<Record<string, unknown>>;
}

export interface Answer {
  readonly description: string;
  /** Media type to its schema, or a schema of JSON. Without it the answer has no body. */
  readonly schema?: JsonSchema;
  readonly stream?: string;
  readonly contentType?: string;
  /** The status may have the body of an error instead. */
  readonly mayBeProblem?: boolean;
}

/** The schema of what a client sends, from the schema that validates it. */
export function requestSchema(schema: z.ZodType): JsonSchema {
  const { $schema: _dialect, ...rest } = z.toJSONSchema(schema, {
    io: 'input',
    unrepresentable: 'any',
    target: 'draft-2020-12',
    override({ zodSchema, jsonSchema }) {
      if (!isPreprocessed(zodSchema)) return;
      const { ...full } = jsonSchema;
      for (const key of Object.keys(jsonSchema)) Reflect.deleteProperty(jsonSchema, key);
      jsonSchema.anyOf = [full, SHORT_FORM];
    },
  });
  return rest;
}

/** What the service completes before it validates. */
const SHORT_FORM = {
  description: 'Short forms are accepted too: a text, or a message without its type.',
  anyOf: [{ type: 'string' as const }, { type: 'object' as const }],
};

function isPreprocessed(schema: z.core.$ZodTypes): boolean {
  const { def } = schema._zod;
  return def.type === 'pipe' && def.in._zod.def.type === 'transform';
}

const TYPES = { text: 'string', whole: 'integer', number: 'number', flag: 'boolean' } as const;

/**
 * A schema of an answer in short form: `text`, `whole`, `number`, `flag`, each with `?` behind it
 * for a value that may be null, `[x]` for a list, and an object for an object. A key with `?` may be
 * absent. Answers may have more fields than are described.
 */
export type Shape = string | readonly [Shape] | { readonly [name: string]: Shape };

export function answerSchema(shape: Shape): JsonSchema {
  if (typeof shape === 'string') return scalar(shape);
  if (isList(shape)) return { type: 'array', items: answerSchema(shape[0]) };
  const fields = Object.entries(shape);
  return {
    type: 'object',
    required: fields.flatMap(([name]) => (name.endsWith('?') ? [] : [name])),
    properties: Object.fromEntries(
      fields.map(([name, inner]) => [name.replace(/\?$/, ''), answerSchema(inner)]),
    ),
  };
}

function isList(shape: Shape): shape is readonly [Shape] {
  return Array.isArray(shape);
}

function scalar(shape: string): JsonSchema {
  if (shape === 'any') return {};
  if (shape.startsWith('=')) return { const: shape.slice(1) };
  const name = shape.replace(/\?$/, '');
  const type = Object.entries(TYPES).find(([key]) => key === name)?.[1];
  if (type === undefined) throw new TypeError(`Cannot describe the shape ${shape}`);
  return { type: shape.endsWith('?') ? [type, 'null'] : type };
}
