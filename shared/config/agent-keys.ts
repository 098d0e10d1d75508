import * as z from 'zod';
import { agentSchema } from './agent-schema.ts';
import { expectedOf } from './schema-fields.ts';

/** One key of agent.toml. */
export interface AgentKey {
  /** Sections and key, as written in the file. */
  readonly path: readonly string[];
  /** The environment variable that overrides it. */
  readonly variable: string;
  readonly schema: z.ZodType;
  /** The accepted values. */
  readonly expected: string;
  readonly purpose: string;
}

export function listAgentKeys(): readonly AgentKey[] {
  return keysBelow(agentSchema, []);
}

/** The section at a path, or undefined. */
export function sectionAt(path: readonly string[]): z.ZodObject | undefined {
  let section: z.ZodObject = agentSchema;
  for (const name of path) {
    const next = Object.hasOwn(section.shape, name) ? section.shape[name] : undefined;
    if (!(next instanceof z.ZodObject)) return undefined;
    section = next;
  }
  return section;
}

function keysBelow(section: z.ZodObject, path: readonly string[]): AgentKey[] {
  return Object.entries(section.shape).flatMap(([name, schema]) => {
    const own = [...path, name];
    if (schema instanceof z.ZodObject) return keysBelow(schema, own);
    if (!(schema instanceof z.ZodType)) return [];
    return [
      {
        path: own,
        variable: `AGENT__${own.map((part) => part.toUpperCase()).join('__')}`,
        schema,
        expected: expectedOf.get(schema)?.expected ?? 'a value of the documented type',
        purpose: schema.description ?? '',
      },
    ];
  });
}

/** An agent.toml name in camel case: `max_request_bytes` is `maxRequestBytes`. */
type CamelName<Name extends string> = Name extends `${infer Head}_${infer Tail}`
  ? `${Head}${Capitalize<CamelName<Tail>>}`
  : Name;

/** The same tree with camel case names. */
export type CamelKeys<Tree> = Tree extends readonly unknown[]
  ? Tree
  : Tree extends object
    ? { readonly [Key in keyof Tree & string as CamelName<Key>]: CamelKeys<Tree[Key]> }
    : Tree;

export function toCamelName(name: string): string {
  return name.replaceAll(/_([a-z0-9])/g, (_match, letter: string) => letter.toUpperCase());
}

/** The text of agent.schema.json, which editors use to validate agent.toml. */
export function agentJsonSchema(): string {
  const schema = z.toJSONSchema(agentSchema, {
    target: 'draft-7',
    io: 'input',
    override({ jsonSchema }) {
      // An absent section has the defaults of its keys.
      delete jsonSchema.required;
    },
  });
  return `${JSON.stringify({ ...schema, title: 'agent.toml' }, undefined, 2)}\n`;
}
