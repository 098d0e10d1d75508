import {
  type KeyLease,
  MAX_ANSWER_CHARS,
  type StoredAnswer,
} from '../idempotency/idempotency-store.ts';
import { describeError } from '../telemetry/describe-error.ts';
import type { Telemetry } from '../telemetry/telemetry.ts';
import type { CallerContext } from './request-context.ts';
import type { PlainResponse } from './responses.ts';

/** Keeps the answer of one request while it is sent. */
interface Recording {
  /** The answer, once it is stored; undefined if there is none to send again. */
  readonly answer: Promise<StoredAnswer | undefined>;
  /** The same `startStream`, whose end shows whether the stream failed. */
  watch(startStream: CallerContext['startStream']): CallerContext['startStream'];
  record(response: PlainResponse, clientDisconnected: AbortSignal): Promise<PlainResponse>;
  abandon(): Promise<void>;
}

export function startRecording(claim: KeyLease, telemetry: Telemetry): Recording {
  const { promise, resolve } = Promise.withResolvers<StoredAnswer | undefined>();
  let hasFailed = false;
  let isEnded = false;
  async function end(answer: StoredAnswer | undefined): Promise<void> {
    if (isEnded) return;
    isEnded = true;
    try {
      await (answer === undefined ? claim.release() : claim.complete(answer));
    } catch (error) {
      // The client gets its answer all the same; a repeated request runs again.
      telemetry.warn('idempotent answer not stored', { cause: describeError(error) });
    } finally {
      resolve(answer);
    }
  }
  return {
    answer: promise,
    watch: (startStream) => () => {
      const endStream = startStream();
      return (code) => {
        hasFailed ||= code !== undefined;
        endStream(code);
      };
    },
    async record(response, clientDisconnected) {
      const { status = 200, headers = {}, body } = response;
      if (status >= 300) await end(undefined);
      else if (typeof body === 'string') await end({ status, headers, body });
      else if (body instanceof ReadableStream) {
        clientDisconnected.addEventListener('abort', () => void end(undefined), { once: true });
        const onEnd = (text: string | undefined) =>
          end(hasFailed || text === undefined ? undefined : { status, headers, body: text });
        return { ...response, body: recordStream(body, { onEnd, onCancel: () => end(undefined) }) };
      } else await end(undefined);
      return response;
    },
    abandon: () => end(undefined),
  };
}

interface StreamRecording {
  /** Undefined if the stream was too long to be kept. */
  readonly onEnd: (text: string | undefined) => Promise<void>;
  readonly onCancel: () => Promise<void>;
}

/** The same stream. Its answer is stored before the client sees its end. */
function recordStream(
  body: ReadableStream<Uint8Array>,
  { onEnd, onCancel }: StreamRecording,
): ReadableStream<Uint8Array> {
  const reader = body.getReader();
  const kept = createByteRecord(MAX_ANSWER_CHARS);
  return new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        const { done, value } = await reader.read();
        if (!done) {
          kept.add(value);
          controller.enqueue(value);
          return;
        }
        await onEnd(kept.text());
        controller.close();
      },
      async cancel(reason) {
        await Promise.all([onCancel(), reader.cancel(reason)]);
      },
    },
    { highWaterMark: 0 },
  );
}

/** Small chunks are joined, because each is an object several times the size of its bytes. */
const JOINED_BYTES = 65_536;

/** Keeps bytes until there are too many of them. */
function createByteRecord(maxBytes: number) {
  let joined: Buffer[] = [];
  let chunks: Uint8Array[] = [];
  let chunkBytes = 0;
  let bytes = 0;
  return {
    add(chunk: Uint8Array): void {
      bytes += chunk.byteLength;
      if (bytes > maxBytes) {
        joined = [];
        chunks = [];
        return;
      }
      chunks.push(chunk);
      chunkBytes += chunk.byteLength;
      if (chunkBytes < JOINED_BYTES) return;
      joined.push(Buffer.concat(chunks));
      chunks = [];
      chunkBytes = 0;
    },
    text: () =>
      bytes > maxBytes ? undefined : Buffer.concat([...joined, ...chunks]).toString('utf8'),
  };
}
