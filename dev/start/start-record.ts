import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { z } from 'zod';
import { isRunning } from '../processes.ts';

const record = z.object({
  pid: z.number().int().positive(),
  url: z.string(),
  storage: z.string().optional(),
  modelUrl: z.string().optional(),
});

/** What a running `npm start` records for other shells: its address and its storage. */
export type StartRecord = Readonly<z.infer<typeof record>>;

/** Writes the record. Only its owner may read it, because it can contain a storage key. */
export async function writeStartRecord(root: string, content: StartRecord): Promise<void> {
  const path = recordPath(root);
  await mkdir(dirname(path), { recursive: true });
  await writeFile(path, `${JSON.stringify(content, undefined, 2)}\n`, { mode: 0o600 });
}

/** The record of an `npm start` that is still running, if there is one. */
export async function readStartRecord(root: string): Promise<StartRecord | undefined> {
  const text = await readFile(recordPath(root), 'utf8').catch(() => undefined);
  if (text === undefined) return undefined;
  const parsed = record.safeParse(parseJson(text));
  return parsed.success && isRunning(parsed.data.pid) ? parsed.data : undefined;
}

/** Removes the record, unless another start has written its own in the meantime. */
export async function removeStartRecord(root: string): Promise<void> {
  const current = await readStartRecord(root);
  if (current === undefined || current.pid === process.pid) {
    await rm(recordPath(root), { force: true });
  }
}

function recordPath(root: string): string {
  return join(root, '.agent', 'start.json');
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
