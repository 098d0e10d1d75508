import type { OutgoingHttpHeaders, ServerResponse } from 'node:http';
import { setImmediate as immediate, setTimeout as sleep } from 'node:timers/promises';
import { errorBody, type ApiErrorDetails } from './api-error.ts';
import type { CallLog, RecordedCall } from './call-log.ts';
import type { ChatRequest } from './chat-request.ts';

// A reset makes the receiver drop what it has not read yet, so the text before a cut is sent this
// much earlier.
const BEFORE_RESET_MS = 40;

export interface ScriptedResponse {
  readonly status: number;
  readonly headers?: Readonly<Record<string, string | readonly string[]>>;
  readonly body: string;
}

export interface ResponseWriterOptions {
  readonly request: ChatRequest;
  readonly response: ServerResponse;
  readonly call: RecordedCall;
  readonly log: CallLog;
  readonly isAzure: boolean;
  readonly key: string;
  readonly baseUrl: string;
  readonly tokenDelayMs: number;
  readonly scale: number;
}

/** One request and the ways in which a scripted model can answer it or fail. */
export interface ResponseWriter extends ResponseWriterOptions {
  /** Waits the scripted time; rejects when the caller disconnects. */
  wait(ms: number): Promise<void>;
  /** Waits the unscaled delay between two tokens. */
  pace(ms: number): Promise<void>;
  /** Sends a complete answer, or only its body if the headers are sent already. */
  send(answer: ScriptedResponse): void;
  sendError(status: number, message: string, details?: ApiErrorDetails): void;
  /** Sends the headers of an answer that is written in pieces; further calls do nothing. */
  open(contentType: string): void;
  /** Resolves when the caller can receive more, rejects when the caller has disconnected. */
  write(chunk: string | Uint8Array): Promise<void>;
  end(): void;
  /** Ends the response, which is then valid HTTP although the script left it incomplete. */
  endUnfinished(): void;
  /** Resets the connection. */
  cut(): Promise<void>;
  /**
   * True for the first `times` calls of this conversation, then false once, and again from the
   * start.
   */
  failsNow(times: number): boolean;
  /** Counts the calls of this conversation from 0. */
  turn(): number;
}

export function createResponseWriter(parts: ResponseWriterOptions): ResponseWriter {
  const { response, call, log, request } = parts;
  const left = new AbortController();
  response.on('error', () => left.abort());
  response.on('finish', () => log.end(call, 'answered'));
  response.on('close', () => {
    log.end(call, 'aborted');
    left.abort();
  });

  async function pace(ms: number): Promise<void> {
    if (ms >= 1) await sleep(ms, undefined, { signal: left.signal });
    // A timer would round up to a millisecond, which makes a scaled trickle too slow.
    else if (ms > 0) await immediate();
    left.signal.throwIfAborted();
  }

  function send({ status, headers = {}, body }: ScriptedResponse): void {
    if (response.headersSent) return void response.end(body);
    call.httpStatus = status;
    const length = Buffer.byteLength(body);
    response.writeHead(status, {
      'content-type': 'application/json',
      ...headers,
      'content-length': length,
    } as OutgoingHttpHeaders);
    response.end(body);
  }

  return {
    ...parts,
    pace,
    send,
    wait: (ms) => pace(ms * parts.scale),
    sendError: (status, message, details) => send({ status, body: errorBody(message, details) }),
    open(contentType) {
      if (response.headersSent) return;
      call.httpStatus = 200;
      response.writeHead(200, { 'content-type': contentType, 'cache-control': 'no-cache' });
      response.flushHeaders();
    },
    async write(chunk) {
      left.signal.throwIfAborted();
      if (response.write(chunk)) return;
      await drained(response, left.signal);
    },
    end: () => void response.end(),
    endUnfinished() {
      log.end(call, 'cut');
      response.end();
    },
    async cut() {
      if (response.headersSent) await pace(BEFORE_RESET_MS);
      log.end(call, 'cut');
      response.socket?.resetAndDestroy();
    },
    failsNow(times) {
      const fails = log.turns.next(request.model, request.messages) < times;
      if (!fails) log.turns.forget(request.model, request.messages);
      return fails;
    },
    turn: () => log.turns.next(request.model, request.messages),
  };
}

function drained(response: ServerResponse, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    function settle(): void {
      response.off('drain', settle);
      signal.removeEventListener('abort', settle);
      if (signal.aborted) reject(new Error('The caller left'));
      else resolve();
    }
    response.on('drain', settle);
    signal.addEventListener('abort', settle);
  });
}
