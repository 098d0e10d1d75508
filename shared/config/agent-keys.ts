import * as z from 'zod';
import { agentSchema } from './agent-schema.ts';
import { expectedOf } from './schema-fields.ts';

/** One key of agent.toml that holds a value. */
export interface AgentKey {
  /** Section, nested sections and key, as they are written in the file. */
  readonly path: readonly string[];
  /** The environment variable that overrides it. */
  readonly variable: string;
  readonly schema: z.ZodType;
  /** What would be accepted. */
  readonly wanted: string;
  readonly purpose: string;
}

export function listAgentKeys(): readonly AgentKey[] {
  return keysBelow(agentSchema, []);
}

/** The section at a path, or undefined where there is none. */
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
        wanted: expectedOf.get(schema)?.wanted ?? 'a value of the documented type',
        purpose: schema.description ?? '',
      },
    ];
  });
}

/** A name of agent.toml as the code writes it: `max_request_bytes` is `maxRequestBytes`. */
export type CamelName<Name extends string> = Name extends `${infer Head}_${infer Tail}`
  ? `${Head}${Capitalize<CamelName<Tail>>}`
  : Name;

/** The same tree with the names of the code; only plain tables are walked. */
export type CamelKeys<Tree> = Tree extends readonly unknown[]
  ? Tree
  : Tree extends object
    ? { readonly [Key in keyof Tree & string as CamelName<Key>]: CamelKeys<Tree[Key]> }
    : Tree;

export function toCamelName(name: string): string {
  return name.replaceAll(/_([a-z0-9])/g, (_match, letter: string) => letter.toUpperCase());
}

/** What editors know of agent.toml: the text of agent.schema.json at the root. */
export function agentJsonSchema(): string {
  const schema = z.toJSONSchema(agentSchema, {
    target: 'draft-7',
    io: 'input',
    override({ jsonSchema }) {
      // A section that is left out has the defaults of its keys.
      delete jsonSchema.required;
    },
  });
  return `${JSON.stringify({ ...schema, title: 'agent.toml' }, undefined, 2)}\n`;
}
