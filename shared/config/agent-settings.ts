import * as z from 'zod';
import {
  type AgentKey,
  type CamelKeys,
  listAgentKeys,
  namedSectionPaths,
  type SectionNames,
  toCamelName,
} from './agent-keys.ts';
import type { agentSchema } from './agent-schema.ts';
import { parseJson } from '../json.ts';
import type { ConfigProblem } from './config-error.ts';
import { type Environment, textOf } from './read-variables.ts';
import { SECTION_NAME } from './schema-fields.ts';
import {
  isTable,
  parseToml,
  describeLine,
  type TomlTable,
  unknownKeys,
  unknownVariables,
} from './agent-toml.ts';
import type { SettingSource } from './variables.ts';

/** The settings of agent.toml in camel case, with defaults. */
export type AgentSettings = CamelKeys<z.output<typeof agentSchema>>;

interface AgentSettingsResult {
  /** Complete only if there are no problems. */
  readonly settings: AgentSettings;
  /** By dotted key, such as `limits.max_request_bytes`. */
  readonly sources: ReadonlyMap<string, SettingSource>;
  readonly problems: readonly ConfigProblem[];
}

/** Reads the file and the overriding environment variables. Reports every problem of both. */
export function readAgentSettings(environment: Environment, text: string): AgentSettingsResult {
  const parsed = parseToml(text);
  const table = 'table' in parsed ? parsed.table : {};
  const problems = 'problem' in parsed ? [parsed.problem] : unknownKeys(text, table);
  const namesAt = sectionNames(environment, table);
  problems.push(...unknownVariables(environment, namesAt));
  const settings = {};
  for (const path of namedSectionPaths()) {
    setAt(settings, { path: path.map(toCamelName), value: {} });
  }
  const sources = new Map<string, SettingSource>();
  for (const key of listAgentKeys(namesAt)) {
    const resolved = resolve(key, { environment, table });
    sources.set(key.path.join('.'), resolved.source);
    const result = key.schema.safeParse(resolved.value);
    if (result.success) {
      setAt(settings, { path: key.path.map(toCamelName), value: result.data });
    } else {
      const isVariable = resolved.source === 'environment';
      const setting = isVariable ? key.variable : describeLine(text, key.path);
      problems.push({ setting, expected: key.expected });
    }
  }
  return { settings: settings as AgentSettings, sources, problems };
}

/** The names that the file and the environment give to sections, such as `AGENT__TOOLS__MCP__DOCS__URL`. */
function sectionNames(environment: Environment, table: TomlTable): SectionNames {
  return (path) => {
    const below = valueAt(table, path);
    const prefix = `AGENT__${path.join('__').toUpperCase()}__`;
    const variables = Object.keys(environment).filter((name) => name.startsWith(prefix));
    const names = [
      ...(isTable(below) ? Object.keys(below) : []),
      ...variables.map((name) => name.slice(prefix.length).split('__')[0]?.toLowerCase() ?? ''),
    ];
    return [...new Set(names)].filter((name) => SECTION_NAME.test(name));
  };
}

interface ResolvedSetting {
  readonly value: unknown;
  readonly source: SettingSource;
}

interface SettingSources {
  readonly environment: Environment;
  readonly table: TomlTable;
}

function resolve(key: AgentKey, { environment, table }: SettingSources): ResolvedSetting {
  const text = textOf(environment, key.variable);
  if (text !== '') return { value: parseVariable(key.schema, text), source: 'environment' };
  const value = valueAt(table, key.path);
  return value === undefined ? { value, source: 'default' } : { value, source: 'agent.toml' };
}

function valueAt(table: TomlTable, path: readonly string[]): unknown {
  let current: unknown = table;
  for (const name of path) {
    if (!isTable(current) || !Object.hasOwn(current, name)) return undefined;
    current = current[name];
  }
  return current;
}

/** Converts a variable to the type of its key; invalid text stays text and fails validation. */
function parseVariable(schema: z.ZodType, text: string): unknown {
  const base = innermost(schema);
  if (base instanceof z.ZodNumber) {
    return /^-?\d{1,15}(?:\.\d{1,15})?$/.test(text) ? Number(text) : text;
  }
  if (base instanceof z.ZodBoolean && (text === 'true' || text === 'false')) {
    return text === 'true';
  }
  if (base instanceof z.ZodArray) return parseList(text);
  return text;
}

/** A JSON array, or the items separated by commas. */
function parseList(text: string): unknown {
  if (text.startsWith('[')) return parseJson(text) ?? text;
  return text.split(',').map((item) => item.trim());
}

function innermost(schema: z.ZodType): z.ZodType {
  if (!(schema instanceof z.ZodDefault || schema instanceof z.ZodOptional)) return schema;
  const inner = schema.unwrap();
  return inner instanceof z.ZodType ? innermost(inner) : schema;
}

/** Paths come from the schema, never from the file, so they contain no `__proto__`. */
function setAt(
  tree: Record<string, unknown>,
  { path, value }: { readonly path: readonly string[]; readonly value: unknown },
): void {
  const [name = '', ...rest] = path;
  if (rest.length === 0) {
    tree[name] = value;
    return;
  }
  const branch = (tree[name] ??= {}) as Record<string, unknown>;
  setAt(branch, { path: rest, value });
}
