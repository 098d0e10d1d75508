import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parse, TomlError } from 'smol-toml';
import * as z from 'zod';
import {
  type AgentKey,
  entryOf,
  isSection,
  listAgentKeys,
  sectionAt,
  type SectionNames,
} from './agent-keys.ts';
import { ConfigError, type ConfigProblem } from './config-error.ts';

/** A parsed TOML table with unchecked values. */
export type TomlTable = Readonly<Record<string, unknown>>;

type TomlResult = { readonly table: TomlTable } | { readonly problem: ConfigProblem };

export function parseToml(text: string): TomlResult {
  try {
    return { table: parse(text) };
  } catch (thrown) {
    // The parser's message quotes the file, which may contain secrets.
    const position = thrown instanceof TomlError ? ` line ${thrown.line}` : '';
    const reason = thrown instanceof TomlError ? describeTomlError(thrown) : '';
    return { problem: { setting: `agent.toml${position}`, expected: `valid TOML${reason}` } };
  }
}

/** The first line of the parser's message, without the quoted part of the file. */
function describeTomlError(error: TomlError): string {
  const [firstLine = ''] = error.message.split('\n');
  const words = firstLine.replace(/^Invalid TOML document: /, '');
  return /^[a-z ,:'-]+$/i.test(words) ? ` (${words})` : '';
}

/**
 * The line on which a key begins. The parser does not report positions, so this parses growing
 * prefixes of the file until the key appears, instead of a second TOML grammar.
 */
function lineOfKey(text: string, path: readonly string[]): number | undefined {
  const lines = text.split('\n');
  let lastWithout = 0;
  for (let count = 1; count <= lines.length; count += 1) {
    const result = parseToml(lines.slice(0, count).join('\n'));
    if ('problem' in result) continue;
    if (hasKey(result.table, path)) return lastWithout + 1;
    lastWithout = count;
  }
  return undefined;
}

function hasKey(table: unknown, path: readonly string[]): boolean {
  let current = table;
  for (const name of path) {
    if (!isTable(current) || !Object.hasOwn(current, name)) return false;
    current = current[name];
  }
  return true;
}

export function isTable(value: unknown): value is TomlTable {
  return (
    typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof Date)
  );
}

const PREFIX = 'AGENT__';

/** Unknown keys of the file. They are errors, because a misspelt limit would not apply. */
export function unknownKeys(text: string, table: TomlTable): ConfigProblem[] {
  return unknownBelow(table, []).map(({ path, expected }) => ({
    setting: describeLine(text, path),
    expected,
  }));
}

/** Unknown `AGENT__` variables of the environment. */
export function unknownVariables(
  environment: Readonly<Record<string, unknown>>,
  namesAt: SectionNames,
): ConfigProblem[] {
  const known = listAgentKeys(namesAt);
  return Object.keys(environment)
    .filter((name) => name.startsWith(PREFIX))
    .filter((name) => !known.some(({ variable }) => variable === name))
    .map((name) => {
      const path = name.slice(PREFIX.length).toLowerCase().split('__');
      const closest = closestKey(path);
      const nearest = known.find((key) => key.path.join('.') === closest)?.variable;
      const variables = known.map(({ variable }) => variable);
      return {
        setting: printable(name),
        expected: knownKey(nearest ?? closestMatch(name, variables)),
      };
    });
}

/** The position of a key in the file, for error messages. */
export function describeLine(text: string, path: readonly string[]): string {
  const line = lineOfKey(text, path);
  const position = line === undefined ? 'agent.toml' : `agent.toml line ${line}`;
  return `${position}: ${path.map(printable).join('.')}`;
}

const NAME_EXPECTED = 'a name of 1 to 24 lower-case letters and digits that begins with a letter';

interface UnknownKey {
  readonly path: readonly string[];
  readonly expected: string;
}

function unknownBelow(table: TomlTable, path: readonly string[]): UnknownKey[] {
  const section = sectionAt(path);
  return Object.entries(table).flatMap(([name, value]) => {
    const own = [...path, name];
    const schema = section === undefined ? undefined : entryOf(section, name);
    if (schema === undefined) {
      const isChosen = section instanceof z.ZodRecord;
      return [{ path: own, expected: isChosen ? NAME_EXPECTED : knownKey(closestKey(own)) }];
    }
    if (!isSection(schema)) return [];
    return isTable(value)
      ? unknownBelow(value, own)
      : [{ path: own, expected: `a section, begun with [${own.join('.')}]` }];
  });
}

/** The most similar key of the same section, or a more similar one of another section. */
function closestKey(path: readonly string[]): string | undefined {
  const parent = path.slice(0, -1);
  const name = path.at(-1) ?? '';
  const section = sectionAt(parent);
  const shape = section instanceof z.ZodObject ? section.shape : {};
  const siblings = Object.keys(shape).map((key) => parent.concat(key));
  const candidates = [...siblings, ...listAgentKeys().map((key: AgentKey) => key.path)];
  const ranked = candidates.map((candidate, index) => ({
    candidate,
    // Prefers keys of the same section among equally similar ones.
    distance: editDistance(name, candidate.at(-1) ?? '') + (index < siblings.length ? 0 : 0.5),
  }));
  return ranked.toSorted((a, b) => a.distance - b.distance)[0]?.candidate.join('.');
}

function knownKey(nearest: string | undefined): string {
  return nearest === undefined ? 'a known key' : `a known key; the nearest is ${nearest}`;
}

/** Truncates and cleans a key from the file for an error message. */
function printable(name: string): string {
  return name.replaceAll(/[^\w.-]/g, '?').slice(0, 64);
}

/** The candidate with the smallest edit distance to the name. */
function closestMatch(name: string, candidates: readonly string[]): string | undefined {
  let nearest: string | undefined;
  let smallest = Number.POSITIVE_INFINITY;
  for (const candidate of candidates) {
    const distance = editDistance(name.toLowerCase(), candidate.toLowerCase());
    if (distance < smallest) {
      smallest = distance;
      nearest = candidate;
    }
  }
  return nearest;
}

/** Levenshtein distance, one row of the table at a time. */
function editDistance(from: string, to: string): number {
  let row = Array.from({ length: to.length + 1 }, (_, index) => index);
  for (let line = 1; line <= from.length; line += 1) {
    const above = row;
    row = [line];
    for (let column = 1; column <= to.length; column += 1) {
      const replaced = (above[column - 1] ?? 0) + (from[line - 1] === to[column - 1] ? 0 : 1);
      row.push(Math.min(replaced, (above[column] ?? 0) + 1, (row[column - 1] ?? 0) + 1));
    }
  }
  return row[to.length] ?? 0;
}

/**
 * Reads agent.toml at the root of the app, or returns an empty text if there is none. `folder` is
 * the folder of the calling file: the sources and the bundle are both one level below the root.
 * @throws ConfigError if the file exists and cannot be read
 */
export async function readAgentToml(folder: string): Promise<string> {
  try {
    return await readFile(join(folder, '..', 'agent.toml'), 'utf8');
  } catch (thrown) {
    if (thrown instanceof Error && 'code' in thrown && thrown.code === 'ENOENT') return '';
    throw new ConfigError([{ setting: 'agent.toml', expected: 'a file that can be read' }]);
  }
}
