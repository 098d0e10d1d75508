import { parse, TomlError } from 'smol-toml';
import type { ConfigProblem } from './config-error.ts';

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
