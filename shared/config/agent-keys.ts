import * as z from 'zod';
import { agentSchema } from './agent-schema.ts';
import { wantedOf } from './schema-fields.ts';

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
        wanted: wantedOf.get(schema)?.wanted ?? 'a value of the documented type',
        purpose: schema.description ?? '',
      },
    ];
  });
}
