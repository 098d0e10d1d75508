import { createParser } from 'eventsource-parser';
import { z } from 'zod';
import type { Mode } from './fault-case.ts';

/** The result of a request for its caller, with everything that was received. */
export interface ClientResult {
  readonly status: number;
  /** `answer`, the error code, or a description of an invalid ending. */
  readonly outcome: string;
  readonly text: string;
  /** The number of endings; any number but one is a fault. */
  readonly endings: number;
  readonly retryAfterSeconds: number | undefined;
  readonly ms: number;
  /** Time from the request to the first visible text. */
  readonly firstTextMs: number | undefined;
  /** Headers and body, unchanged. */
  readonly raw: string;
}

export interface ClientRequest {
  readonly message: string;
  readonly mode: Mode;
  readonly signal?: AbortSignal;
  /** The client address of the request; each address is one caller. */
  readonly address?: string;
}

const replySchema = z.object({
  response: z.string().min(1),
  requestId: z.string().min(1),
  finishReason: z.string().min(1),
});
const doneSchema = replySchema.omit({ response: true });
const deltaSchema = z.object({ text: z.string() });
const problemSchema = z.object({
  requestId: z.string().min(1),
  retryable: z.boolean(),
  error: z.object({ code: z.string(), message: z.string().min(1) }),
});

/** Sends a request as a client does, and reads to the end. */
export async function sendRequest(url: string, request: ClientRequest): Promise<ClientResult> {
  const startedAt = performance.now();
  const response = await post(url, request);
  const head = [...response.headers].map(([name, value]) => `${name}: ${value}`).join('\n');
  const retryAfter = response.headers.get('retry-after');
  const isStream = response.headers.get('content-type')?.startsWith('text/event-stream') === true;
  const body = isStream ? await readStream(response, startedAt) : await readJson(response);
  return {
    ...body,
    status: response.status,
    retryAfterSeconds: retryAfter === null ? undefined : Number(retryAfter),
    ms: performance.now() - startedAt,
    raw: `${head}\n${body.raw}`,
  };
}

/** Sends the request; the caller reads the response. */
export function post(
  url: string,
  { message, mode, signal, address }: ClientRequest,
): Promise<Response> {
  return fetch(`${url}/api/chat`, {
    method: 'POST',
    headers: {
      'content-type': 'application/json',
      ...(address === undefined ? {} : { 'x-forwarded-for': address }),
    },
    body: JSON.stringify({ message, stream: mode === 'stream' }),
    ...(signal === undefined ? {} : { signal }),
  });
}

type Body = Pick<ClientResult, 'outcome' | 'text' | 'endings' | 'firstTextMs' | 'raw'>;

async function readJson(response: Response): Promise<Body> {
  const raw = await response.text();
  const body = parseJson(raw);
  const common = { text: '', endings: 1, firstTextMs: undefined, raw };
  if (response.status === 200) {
    const reply = replySchema.safeParse(body);
    if (!reply.success) return { ...common, outcome: 'not an answer' };
    return { ...common, text: reply.data.response, outcome: 'answer' };
  }
  return { ...common, outcome: readCode(body) };
}

async function readStream(response: Response, startedAt: number): Promise<Body> {
  let raw = '';
  let text = '';
  let firstTextMs: number | undefined;
  const endings: string[] = [];
  let isAfterEnd = false;
  const parser = createParser({
    onEvent({ event, data }) {
      if (endings.length > 0) isAfterEnd = true;
      const value = parseJson(data);
      if (event === 'delta') {
        text += deltaSchema.safeParse(value).data?.text ?? '';
        firstTextMs ??= performance.now() - startedAt;
      } else if (event === 'error') endings.push(readCode(value));
      else if (event === 'done') {
        endings.push(doneSchema.safeParse(value).success ? 'answer' : 'not an answer');
      }
    },
  });
  const decoder = new TextDecoder();
  try {
    for await (const chunk of response.body ?? []) {
      const piece = decoder.decode(chunk, { stream: true });
      raw += piece;
      parser.feed(piece);
    }
  } catch {
    endings.push('connection broken');
  }
  const outcome = isAfterEnd ? 'events after the end' : (endings[0] ?? 'no ending');
  return { outcome, text, endings: endings.length, firstTextMs, raw };
}

function readCode(value: unknown): string {
  const problem = problemSchema.safeParse(value);
  return problem.success ? problem.data.error.code : 'not a problem body';
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return undefined;
  }
}
