import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { CliError } from '../cli-error.ts';

const NAME = 'local.settings.json';

/** Core Tools takes numbers and booleans too, and writes booleans as .NET does. */
const valueSchema = z.union([
  z.string(),
  z.number().transform(String),
  z.boolean().transform((value) => (value ? 'True' : 'False')),
  z.null().transform(() => ''),
]);

const fileSchema = z.object({
  IsEncrypted: z.literal(false).optional(),
  Values: z.record(z.string(), valueSchema).optional(),
});

/** The Values of local.settings.json: what the app's settings are on this machine. */
export function readLocalSettings(appRoot: string): Record<string, string> {
  const path = join(appRoot, NAME);
  const text = readOptionalFile(path);
  if (text === undefined) return {};
  const parsed = fileSchema.safeParse(parseJson(toStrictJson(text), path));
  if (parsed.success) return parsed.data.Values ?? {};
  const [problem] = parsed.error.issues;
  throw new CliError(
    `Cannot read ${path} as '${problem?.path.join('.') ?? 'it'}' must be as Core Tools writes it (Values: plain text by name, IsEncrypted: false): ${problem?.message}`,
  );
}

/** Strings, comments and commas before a closing bracket; only these three matter below. */
const JSON_WITH_COMMENTS =
  /"(?:[^"\\]|\\.)*"|\/\/[^\n]*|\/\*[\s\S]*?\*\/|,(?=(?:\s|\/\/[^\n]*|\/\*[\s\S]*?\*\/)*[}\]])/g;

/** Removes comments and trailing commas, which Core Tools and editors accept in this file. */
function toStrictJson(text: string): string {
  return text.replaceAll(JSON_WITH_COMMENTS, (part) => (part.startsWith('"') ? part : ''));
}

/** The content of a file, or undefined when there is none. */
export function readOptionalFile(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined;
    throw new CliError(`Cannot read ${path}: ${String(error)}`, { cause: error });
  }
}

/** Parses the JSON of a file; says which file it was when that fails. */
export function parseJson(text: string, path: string): unknown {
  try {
    // Editors on Windows put a mark in front that JSON does not know.
    return JSON.parse(text.replace(/^\uFEFF/, ''));
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new CliError(`Cannot read ${path} as it must be JSON: ${reason}`, { cause: error });
  }
}
