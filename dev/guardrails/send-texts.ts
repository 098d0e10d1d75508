import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import * as z from 'zod';
import { CliError } from '../cli-error.ts';
import { percentile } from '../faults/steady-load.ts';

const row = z.object({
  text: z.string().optional(),
  string: z.string().optional(),
  /** A whole request body. */
  body_b64: z.string().optional(),
});

/** What a running app answered. */
export interface TextsReport {
  /** Requests by the kind of body and the status; `hang` and `broken` are no status. */
  readonly outcomes: ReadonlyMap<string, number>;
  readonly sent: number;
  readonly failures: readonly string[];
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly slowestMs: number;
}

interface SendOptions {
  readonly url: string;
  readonly count: number;
  /** A request that takes longer counts as a hang. */
  readonly hangMs?: number;
}

const CONCURRENCY = 8;
/** Of a quiet machine. */
const HANG_MS = 1_000;
const TIMEOUT_MS = 15_000;

/**
 * Sends texts of the JSONL files in a folder as chats, in turn to each protocol, as JSON and as a
 * stream, and again with a small change until the count is reached.
 * @throws CliError if the folder has no texts
 */
export async function sendTexts(
  folder: string,
  { url, count, hangMs = HANG_MS }: SendOptions,
): Promise<TextsReport> {
  const payloads = await readPayloads(folder);
  if (payloads.length === 0) throw new CliError(`Cannot send as ${folder} has no texts`);
  const outcomes = new Map<string, number>();
  const failures: string[] = [];
  const times: number[] = [];
  let next = 0;
  async function work(): Promise<void> {
    for (let index = next++; index < count; index = next++) {
      const payload = payloads[index % payloads.length];
      if (payload === undefined) return;
      const startedAt = performance.now();
      const status = await send(payload, {
        url,
        index,
        round: Math.floor(index / payloads.length),
      });
      const ms = performance.now() - startedAt;
      times.push(ms);
      const isHang = ms > hangMs;
      const key = `${payload.kind} ${status}`;
      outcomes.set(key, (outcomes.get(key) ?? 0) + 1);
      if (status === 'broken' || Number(status) >= 500 || isHang) {
        failures.push(`${payload.kind} ${index}: ${status} after ${Math.round(ms)} ms`);
      }
    }
  }
  await Promise.all(Array.from({ length: CONCURRENCY }, work));
  const sorted = times.toSorted((a, b) => a - b);
  return {
    outcomes,
    sent: times.length,
    failures,
    p50Ms: percentile(sorted, 0.5),
    p99Ms: percentile(sorted, 0.99),
    slowestMs: sorted.at(-1) ?? 0,
  };
}

export function isClean({ failures }: TextsReport): boolean {
  return failures.length === 0;
}

export function describeReport(report: TextsReport): string {
  const lines = [...report.outcomes]
    .toSorted(([a], [b]) => a.localeCompare(b))
    .map(([key, number]) => `${String(number).padStart(8)}  ${key}`);
  const { sent, failures, p50Ms, p99Ms, slowestMs } = report;
  return [
    ...lines,
    `${sent} requests, p50 ${p50Ms.toFixed(1)} ms, p99 ${p99Ms.toFixed(1)} ms, slowest ${slowestMs.toFixed(0)} ms`,
    `${failures.length} of them broken, 5xx or a hang`,
    ...failures.slice(0, 20),
  ].join('\n');
}

interface Payload {
  readonly kind: 'text' | 'body';
  readonly value: string | Uint8Array<ArrayBuffer>;
}

async function readPayloads(folder: string): Promise<Payload[]> {
  const names = await readdir(folder).catch((error: unknown) => {
    throw new CliError(`Cannot read the folder ${folder}`, { cause: error });
  });
  const payloads: Payload[] = [];
  for (const name of names.filter((one) => one.endsWith('.jsonl')).toSorted()) {
    const text = await readFile(join(folder, name), 'utf8');
    for (const line of text.split('\n').filter((one) => one.trim() !== '')) {
      const { body_b64: body, string, text: plain } = row.parse(JSON.parse(line));
      if (body !== undefined) {
        payloads.push({ kind: 'body', value: new Uint8Array(Buffer.from(body, 'base64')) });
      } else if (string !== undefined || plain !== undefined) {
        payloads.push({ kind: 'text', value: string ?? plain ?? '' });
      }
    }
  }
  return payloads;
}

interface SendContext {
  readonly url: string;
  readonly index: number;
  readonly round: number;
}

/** The status, or `broken` if there was no complete response. */
async function send({ kind, value }: Payload, { url, index, round }: SendContext): Promise<string> {
  const isChat = (index + round) % 2 === 0;
  const stream = (index + round) % 4 > 1;
  const text = `${String(value)}${' \u00a0'.repeat(round % 5)}`.slice(0, 90_000);
  const request = isChat
    ? { message: text, stream }
    : { model: 'any', messages: [{ role: 'user', content: text }], stream };
  try {
    const response = await fetch(`${url}${isChat ? '/api/chat' : '/v1/chat/completions'}`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: kind === 'body' && value instanceof Uint8Array ? value : JSON.stringify(request),
      signal: AbortSignal.timeout(TIMEOUT_MS),
    });
    await response.arrayBuffer();
    return String(response.status);
  } catch {
    return 'broken';
  }
}
