import { setTimeout as sleep } from 'node:timers/promises';
import { post } from '../faults/send-request.ts';

/** A caller that tries to use what belongs to others, until its signal aborts. */
export interface HostileCaller {
  readonly name: string;
  readonly address: string;
  run(url: string, signal: AbortSignal): Promise<void>;
  /** Responses by status; 0 where there was none. */
  readonly statuses: ReadonlyMap<number, number>;
}

const BLANK_BYTES = 3_000_000;
const DRIPS = 20;
const DRIP_MS = 2_000;
const STREAMS = 50;
const STREAM_BYTES = 50_000_000;
const OVERSIZED_CHARS = 400_000;
/** Between two attempts of one client, so that the generator itself does not use the machine up. */
const PAUSE_MS = 1_000;

/** One caller of each kind. */
export function createHostileCallers(): readonly HostileCaller[] {
  return [
    hostile('blank-line batches', {
      address: '203.0.113.1',
      clients: 2,
      attempt: submitBlankLines,
    }),
    hostile('drip uploads', { address: '203.0.113.2', clients: DRIPS, attempt: uploadDrips }),
    hostile('unread streams', { address: '203.0.113.3', clients: STREAMS, attempt: openUnread }),
    hostile('oversized bounds', { address: '203.0.113.4', clients: 4, attempt: askTooMuch }),
  ];
}

interface Attempt {
  readonly url: string;
  readonly address: string;
  readonly signal: AbortSignal;
}

interface HostileOptions {
  readonly address: string;
  /** Connections at once. */
  readonly clients: number;
  readonly attempt: (attempt: Attempt) => Promise<number>;
}

function hostile(name: string, { address, clients, attempt }: HostileOptions): HostileCaller {
  const statuses = new Map<number, number>();
  async function repeat(url: string, signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      const status = await attempt({ url, address, signal }).catch(() => 0);
      statuses.set(status, (statuses.get(status) ?? 0) + 1);
      await sleep(PAUSE_MS, undefined, { signal }).catch(() => undefined);
    }
  }
  return {
    name,
    address,
    statuses,
    async run(url, signal) {
      await Promise.all(Array.from({ length: clients }, () => repeat(url, signal)));
    },
  };
}

const BOUNDARY = 'soak';
const FORM = { 'content-type': `multipart/form-data; boundary=${BOUNDARY}` };
const FORM_START =
  `--${BOUNDARY}\r\nContent-Disposition: form-data; name="purpose"\r\n\r\nbatch\r\n` +
  `--${BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="in.jsonl"\r\n\r\n`;

const BLANK_FORM = Buffer.from(`${FORM_START}${'\n'.repeat(BLANK_BYTES)}\r\n--${BOUNDARY}--\r\n`);

/** Uploads a file of line feeds and creates a batch from it. */
export async function submitBlankLines({ url, address, signal }: Attempt): Promise<number> {
  const headers = { ...FORM, 'x-forwarded-for': address };
  const body = BLANK_FORM;
  const upload = await fetch(`${url}/v1/files`, { method: 'POST', headers, body, signal });
  const file = (await upload.json()) as { id?: unknown };
  if (upload.status !== 200) return upload.status;
  const created = await fetch(`${url}/v1/batches`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', 'x-forwarded-for': address },
    body: JSON.stringify({
      input_file_id: file.id,
      endpoint: '/v1/chat/completions',
      completion_window: '24h',
    }),
    signal,
  });
  await created.arrayBuffer();
  return created.status;
}

/** An upload without an end, one byte at a time. */
async function uploadDrips({ url, address, signal }: Attempt): Promise<number> {
  const encoder = new TextEncoder();
  const body = new ReadableStream<Uint8Array>({
    start: (controller) => controller.enqueue(encoder.encode(FORM_START)),
    async pull(controller) {
      await sleep(DRIP_MS, undefined, { signal });
      controller.enqueue(encoder.encode('x'));
    },
  });
  const headers = { ...FORM, 'x-forwarded-for': address };
  const options = { method: 'POST', headers, body, duplex: 'half', signal } as const;
  const response = await fetch(`${url}/v1/files`, options);
  await response.arrayBuffer();
  return response.status;
}

/**
 * A stream of 50 MB whose client reads nothing, for as long as it stays open. Its endpoint writes
 * faster than any model, but leaves the machine time for the service.
 */
async function openUnread({ url, address, signal }: Attempt): Promise<number> {
  const message = `dev/steady-${STREAM_BYTES} ${crypto.randomUUID()}`;
  const response = await post(url, { message, mode: 'stream', address, signal });
  if (response.status === 200) await sleep(UNREAD_MS, undefined, { signal });
  await response.body?.cancel();
  return response.status;
}

/** Longer than the buffers take to fill, and the default limit of a slow reader after that. */
const UNREAD_MS = 120_000;

/** A request far above every limit. */
async function askTooMuch({ url, address, signal }: Attempt): Promise<number> {
  const response = await fetch(`${url}/v1/chat/completions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', 'x-forwarded-for': address },
    body: JSON.stringify({
      model: 'any',
      max_tokens: 1_000_000,
      messages: [{ role: 'user', content: 'x '.repeat(OVERSIZED_CHARS / 2) }],
    }),
    signal,
  });
  await response.arrayBuffer();
  return response.status;
}
