import { readFile } from 'node:fs/promises';
import * as z from 'zod';
import type { InjectionChannel } from '../../shared/guardrails/injection/features.ts';
import { CliError } from '../cli-error.ts';

const injectionRow = z.object({
  text: z.string(),
  label: z.union([z.literal(0), z.literal(1)]),
  source: z.string().default('unknown'),
  channel: z.string().default('user'),
  strength: z.enum(['explicit', 'weak', 'benign']).optional(),
});

const piiRow = z.object({
  text: z.string(),
  entities: z.array(z.object({ type: z.string(), start: z.number(), end: z.number() })),
  source: z.string().default('unknown'),
  /** Only these types are labelled in the text; what is found of others says nothing. */
  scope: z.array(z.string()).optional(),
});

export interface InjectionRow extends z.infer<typeof injectionRow> {
  readonly strength: 'explicit' | 'weak' | 'benign';
}
export type PiiRow = z.infer<typeof piiRow>;

export type LabelledFile =
  | { readonly kind: 'injection'; readonly rows: readonly InjectionRow[] }
  | { readonly kind: 'pii'; readonly rows: readonly PiiRow[] };

/** Reads a JSONL file of labelled texts; its first line tells which detector it is for. */
export async function readLabelledFile(path: string): Promise<LabelledFile> {
  const text = await readFile(path, 'utf8').catch((error: unknown) => {
    throw new CliError(`Cannot read ${path}`, { cause: error });
  });
  const lines = text.split('\n').filter((line) => line.trim() !== '');
  if (lines.length === 0) throw new CliError(`Cannot read ${path} as it has no lines`);
  const values = lines.map((line, index) => parseLine(line, { path, number: index + 1 }));
  if (piiRow.safeParse(values[0]).success) {
    return {
      kind: 'pii',
      rows: values.map((value, index) => parseRow(value, { path, index, schema: piiRow })),
    };
  }
  const rows = values.map((value, index) => parseRow(value, { path, index, schema: injectionRow }));
  return {
    kind: 'injection',
    rows: rows.map((row) =>
      Object.assign(row, { strength: row.strength ?? strengthOf(row.label) }),
    ),
  };
}

/** The channel that a text is scored in; a text of both is one of a user. */
export function channelOf({ channel }: { readonly channel: string }): InjectionChannel {
  return channel === 'document' ? 'document' : 'user';
}

function strengthOf(label: 0 | 1): 'explicit' | 'benign' {
  return label === 1 ? 'explicit' : 'benign';
}

function parseLine(line: string, { path, number }: { path: string; number: number }): unknown {
  try {
    return JSON.parse(line);
  } catch (error) {
    throw new CliError(`Cannot read ${path}:${number} as it is not JSON`, { cause: error });
  }
}

interface RowOptions<T> {
  readonly path: string;
  readonly index: number;
  readonly schema: z.ZodType<T>;
}

function parseRow<T>(value: unknown, { path, index, schema }: RowOptions<T>): T {
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  throw new CliError(
    `Cannot read ${path}:${index + 1}: ${issue?.path.join('.') ?? ''} ${issue?.message ?? ''}`,
  );
}
