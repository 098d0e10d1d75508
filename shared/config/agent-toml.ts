import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parse, TomlError } from 'smol-toml';
import * as z from 'zod';
import { type AgentKey, listAgentKeys, sectionAt } from './agent-keys.ts';
import { ConfigError, type ConfigProblem } from './config-error.ts';

/** A table of a TOML file; what is in it has not been looked at yet. */
export type TomlTable = Readonly<Record<string, unknown>>;

export type TomlReading = { readonly table: TomlTable } | { readonly problem: ConfigProblem };

export function parseToml(text: string): TomlReading {
  try {
    return { table: parse(text) };
  } catch (thrown) {
    // The parser's own message quotes the file, and a file may hold what nobody should print.
    const place = thrown instanceof TomlError ? ` line ${thrown.line}` : '';
    const reason = thrown instanceof TomlError ? reasonOf(thrown) : '';
    return { problem: { setting: `agent.toml${place}`, wanted: `valid TOML${reason}` } };
  }
}

/** The fixed words of the parser, without the block of the file that it shows below them. */
function reasonOf(error: TomlError): string {
  const [firstLine = ''] = error.message.split('\n');
  const words = firstLine.replace(/^Invalid TOML document: /, '');
  return /^[a-z ,:'-]+$/i.test(words) ? ` (${words})` : '';
}

/**
 * The line on which a key begins. The parser does not tell, so it is asked how much of the file it
 * takes until the key is there: a second, smaller grammar of TOML would disagree some day.
 */
export function lineOfKey(text: string, path: readonly string[]): number | undefined {
  const lines = text.split('\n');
  let lastWithout = 0;
  for (let count = 1; count <= lines.length; count += 1) {
    const reading = parseToml(lines.slice(0, count).join('\n'));
    if ('problem' in reading) continue;
    if (hasKey(reading.table, path)) return lastWithout + 1;
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

/** Keys of the file that nothing reads. They stop the start: a limit that is misspelt is no limit. */
export function unknownKeys(text: string, table: TomlTable): ConfigProblem[] {
  return unknownBelow(table, []).map(({ path, wanted }) => ({
    setting: describeLine(text, path),
    wanted,
  }));
}

/** The same for the environment. */
export function unknownVariables(environment: Readonly<Record<string, unknown>>): ConfigProblem[] {
  const known = listAgentKeys();
  return Object.keys(environment)
    .filter((name) => name.startsWith(PREFIX))
    .filter((name) => !known.some(({ variable }) => variable === name))
    .map((name) => {
      const path = name.slice(PREFIX.length).toLowerCase().split('__');
      const meant = closestKey(path);
      const nearest = known.find((key) => key.path.join('.') === meant)?.variable;
      const variables = known.map(({ variable }) => variable);
      return {
        setting: printable(name),
        wanted: knownKey(nearest ?? closestMatch(name, variables)),
      };
    });
}

/** Where in the file a key stands, for a message. */
export function describeLine(text: string, path: readonly string[]): string {
  const line = lineOfKey(text, path);
  const place = line === undefined ? 'agent.toml' : `agent.toml line ${line}`;
  return `${place}: ${path.map(printable).join('.')}`;
}

interface UnknownKey {
  readonly path: readonly string[];
  readonly wanted: string;
}

function unknownBelow(table: TomlTable, path: readonly string[]): UnknownKey[] {
  const shape = sectionAt(path)?.shape ?? {};
  return Object.entries(table).flatMap(([name, value]) => {
    const own = [...path, name];
    const schema = Object.hasOwn(shape, name) ? shape[name] : undefined;
    if (schema === undefined) return [{ path: own, wanted: knownKey(closestKey(own)) }];
    if (!(schema instanceof z.ZodObject)) return [];
    return isTable(value)
      ? unknownBelow(value, own)
      : [{ path: own, wanted: `a section, begun with [${own.join('.')}]` }];
  });
}

/** A neighbour that is spelt alike, or a key of another section that is spelt more alike. */
function closestKey(path: readonly string[]): string | undefined {
  const parent = path.slice(0, -1);
  const name = path.at(-1) ?? '';
  const neighbours = Object.keys(sectionAt(parent)?.shape ?? {}).map((key) => parent.concat(key));
  const candidates = [...neighbours, ...listAgentKeys().map((key: AgentKey) => key.path)];
  const ranked = candidates.map((candidate, index) => ({
    candidate,
    // Among equals the neighbour is meant.
    mistakes: editDistance(name, candidate.at(-1) ?? '') + (index < neighbours.length ? 0 : 0.5),
  }));
  return ranked.toSorted((a, b) => a.mistakes - b.mistakes)[0]?.candidate.join('.');
}

function knownKey(nearest: string | undefined): string {
  return nearest === undefined ? 'a known key' : `a known key; the nearest is ${nearest}`;
}

/** A key is written by people, so it is cut and cleaned before it stands in a message. */
function printable(name: string): string {
  return name.replaceAll(/[^\w.-]/g, '?').slice(0, 64);
}

/** The candidate that takes the fewest typing mistakes to become the name. */
export function closestMatch(name: string, candidates: readonly string[]): string | undefined {
  let nearest: string | undefined;
  let fewest = Number.POSITIVE_INFINITY;
  for (const candidate of candidates) {
    const mistakes = editDistance(name.toLowerCase(), candidate.toLowerCase());
    if (mistakes < fewest) {
      fewest = mistakes;
      nearest = candidate;
    }
  }
  return nearest;
}

/** Letters to insert, remove or replace. One row of the table at a time. */
export function editDistance(from: string, to: string): number {
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
 * The text of agent.toml at the root of the app. The sources and the bundle both lie in folders of
 * that root; `folder` is the one that the calling file lies in. No file means the defaults.
 */
export async function readAgentToml(folder: string): Promise<string> {
  try {
    return await readFile(join(folder, '..', 'agent.toml'), 'utf8');
  } catch (thrown) {
    if (thrown instanceof Error && 'code' in thrown && thrown.code === 'ENOENT') return '';
    throw new ConfigError([{ setting: 'agent.toml', wanted: 'a file that can be read' }]);
  }
}
