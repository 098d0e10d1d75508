import * as z from 'zod';
import { listAgentKeys, sectionAt, type AgentKey } from './agent-keys.ts';
import type { ConfigProblem } from './config-error.ts';
import { editDistance, nearestName } from './nearest-name.ts';
import { isTable, lineOfKey, type TomlTable } from './parse-toml.ts';

const PREFIX = 'AGENT__';

/** Keys of the file that nothing reads. They stop the start: a limit that is misspelt is no limit. */
export function unknownKeys(text: string, table: TomlTable): ConfigProblem[] {
  return unknownBelow(table, []).map(({ path, wanted }) => ({
    setting: placeOf(text, path),
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
      const meant = nearestKey(path);
      const nearest = known.find((key) => key.path.join('.') === meant)?.variable;
      const variables = known.map(({ variable }) => variable);
      return {
        setting: printable(name),
        wanted: knownKey(nearest ?? nearestName(name, variables)),
      };
    });
}

/** Where in the file a key stands, for a message. */
export function placeOf(text: string, path: readonly string[]): string {
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
    if (schema === undefined) return [{ path: own, wanted: knownKey(nearestKey(own)) }];
    if (!(schema instanceof z.ZodObject)) return [];
    return isTable(value)
      ? unknownBelow(value, own)
      : [{ path: own, wanted: `a section, begun with [${own.join('.')}]` }];
  });
}

/** A neighbour that is spelt alike, or a key of another section that is spelt more alike. */
function nearestKey(path: readonly string[]): string | undefined {
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
