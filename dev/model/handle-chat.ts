import type { IncomingMessage, ServerResponse } from 'node:http';
import { ApiError, errorBody } from './api-error.ts';
import type { CallLog, RecordedCall } from './call-log.ts';
import { isRecord, lastUserText, parseChatRequest, type ChatRequest } from './chat-request.ts';
import { createResponseWriter } from './response-writer.ts';
import { limit, type RateLimit } from './faults/rate-limits.ts';
import { findModel, hasModel } from './model-table.ts';
import { requireKey } from './require-key.ts';

const MAX_BODY_BYTES = 16 * 1024 * 1024;

export interface ChatCall {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly path: string;
  readonly deployment: string | undefined;
  readonly isAzure: boolean;
  readonly baseUrl: string;
  readonly log: CallLog;
  readonly tokenDelayMs: number;
  readonly scale: number;
  readonly rateLimit: RateLimit;
}

/** Records a chat call and runs the model that it names. */
export async function handleChat(chatCall: ChatCall): Promise<void> {
  const { request, response, log, isAzure, baseUrl, tokenDelayMs, scale } = chatCall;
  const text = await readBody(request);
  const body = parseJson(text);
  const deployment = decodePath(chatCall.deployment);
  const call = log.begin({
    path: chatCall.path,
    model: deployment ?? fieldOf(body, 'model') ?? '',
    stream: isRecord(body) && body['stream'] === true,
    headers: flatten(request),
    body: body ?? null,
    bodyChars: text.length,
  });
  response.setHeader('x-request-id', `req_dev_${call.id}`);
  try {
    const key = requireKey(request.headers);
    if (body === undefined) throw new ApiError(400, 'The request body must be valid JSON');
    const parsed = parseChatRequest(body, deployment);
    const settings = { log, isAzure, baseUrl, tokenDelayMs, scale, key };
    const writer = createResponseWriter({ request: parsed, response, call, ...settings });
    const refusal = chatCall.rateLimit(parsed);
    if (refusal !== undefined) return limit(writer, refusal);
    const { model, parameter } = findModel(scriptIn(parsed) ?? parsed.model);
    await model.answer(writer, parameter);
  } catch (error) {
    finishFailed(error, { response, call, log });
  }
}

/**
 * The scripted model that the first word of the user's text names. So one message, or one item of a
 * batch, can meet a fault while the others do not.
 */
function scriptIn(request: ChatRequest): string | undefined {
  const word = /^dev\/\S{1,100}/.exec(lastUserText(request))?.[0];
  return word !== undefined && hasModel(word) ? word : undefined;
}

function finishFailed(
  error: unknown,
  parts: { response: ServerResponse; call: RecordedCall; log: CallLog },
): void {
  const { response, call, log } = parts;
  if (response.headersSent || response.destroyed || !(error instanceof ApiError)) {
    log.end(call, 'aborted');
    throw error;
  }
  call.httpStatus = error.status;
  log.end(call, 'answered');
  response.writeHead(error.status, { 'content-type': 'application/json' });
  response.end(errorBody(error.message, error.details));
}

async function readBody(request: IncomingMessage): Promise<string> {
  const pieces: Buffer[] = [];
  let length = 0;
  for await (const piece of request as AsyncIterable<Buffer>) {
    length += piece.length;
    if (length > MAX_BODY_BYTES) throw new ApiError(413, 'The request body is larger than 16 MiB');
    pieces.push(piece);
  }
  return Buffer.concat(pieces).toString('utf8');
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return undefined;
  }
}

function decodePath(segment: string | undefined): string | undefined {
  if (segment === undefined) return undefined;
  try {
    return decodeURIComponent(segment);
  } catch {
    return segment;
  }
}

function fieldOf(body: unknown, name: string): string | undefined {
  const value = isRecord(body) ? body[name] : undefined;
  return typeof value === 'string' ? value : undefined;
}

function flatten(request: IncomingMessage): Record<string, string> {
  const entries = Object.entries(request.headers);
  return Object.fromEntries(
    entries.map(([name, value]) => [name, Array.isArray(value) ? value.join(', ') : (value ?? '')]),
  );
}
