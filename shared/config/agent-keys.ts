import * as z from 'zod';
import { agentSchema } from './agent-schema.ts';
import { expectedOf, SECTION_NAME } from './schema-fields.ts';

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

/** A section, or a table of sections whose names the file chooses, such as `tools.mcp`. */
type Section = z.ZodObject | z.ZodRecord;

/** The names of the sections in a table whose names the file chooses. */
export type SectionNames = (path: readonly string[]) => readonly string[];

/** All keys. Those in a table of named sections are listed once for each of the names. */
export function listAgentKeys(namesAt: SectionNames = () => []): readonly AgentKey[] {
  return keysBelow(agentSchema, { path: [], namesAt });
}

/** The section at a path, or undefined. */
export function sectionAt(path: readonly string[]): Section | undefined {
  let section: Section = agentSchema;
  for (const name of path) {
    const next = entryOf(section, name);
    if (!isSection(next)) return undefined;
    section = next;
  }
  return section;
}

/** The schema of a key or section, or undefined. */
export function entryOf(section: Section, name: string): unknown {
  if (section instanceof z.ZodRecord) {
    return SECTION_NAME.test(name) ? section.valueType : undefined;
  }
  return Object.hasOwn(section.shape, name) ? section.shape[name] : undefined;
}

export function isSection(schema: unknown): schema is Section {
  return schema instanceof z.ZodObject || schema instanceof z.ZodRecord;
}

/** The paths of all tables of named sections. */
export function namedSectionPaths(): readonly (readonly string[])[] {
  const paths: (readonly string[])[] = [];
  listAgentKeys((path) => {
    paths.push(path);
    return [];
  });
  return paths;
}

interface KeyPosition {
  readonly path: readonly string[];
  readonly namesAt: SectionNames;
}

function keysBelow(section: Section, { path, namesAt }: KeyPosition): AgentKey[] {
  const entries =
    section instanceof z.ZodRecord
      ? namesAt(path).map((name) => [name, section.valueType] as const)
      : Object.entries(section.shape);
  return entries.flatMap(([name, schema]) => {
    const own = [...path, name];
    if (isSection(schema)) return keysBelow(schema, { path: own, namesAt });
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
