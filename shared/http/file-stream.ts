import { ServiceError, toServiceError } from '../errors.ts';
import type { RequestContext } from './request-context.ts';
import type { PlainResponse } from './responses.ts';
import { discard } from './sse.ts';
import { describeError } from '../telemetry/describe-error.ts';

interface StreamedFile {
  readonly chunks: AsyncIterable<Uint8Array>;
  /** Undefined while the file still grows. */
  readonly bytes: number | undefined;
  /** A client that takes no data for so long is disconnected. */
  readonly slowReaderTimeoutMs: number;
}

/**
 * Sends a file at the pace of its reader. A failure before the first chunk is an ordinary error. A
 * failure later closes the connection: the partial file must not look complete, and the platform
 * would keep the connection of a failed body open.
 * @throws the error of the first chunk
 */
export async function streamFile(
  context: RequestContext,
  { chunks, bytes, slowReaderTimeoutMs: timeoutMs }: StreamedFile,
): Promise<PlainResponse> {
  const { connection, clientDisconnected: signal, telemetry } = context;
  const iterator = chunks[Symbol.asyncIterator]();
  let first: IteratorResult<Uint8Array> | undefined = await iterator.next();
  const end = context.startStream();

  async function next(): Promise<IteratorResult<Uint8Array>> {
    if ((await connection?.drained({ signal, timeoutMs })) === 'timeout') throw slowReader();
    const result = first ?? (await iterator.next());
    first = undefined;
    return result;
  }
  const body = new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        try {
          const { done, value } = await next();
          if (done !== true) return controller.enqueue(value);
          controller.close();
          end();
        } catch (thrown) {
          const { code, cause } = toServiceError(thrown);
          telemetry.error('file stream aborted', { code, cause: describeError(cause) });
          end(code);
          // Without a connection to close, a failed body at least does not look complete.
          if (connection === undefined) return controller.error(thrown);
          connection.cut();
          controller.close();
          discard(iterator);
        }
      },
      cancel() {
        end('client_disconnected');
        discard(iterator);
      },
    },
    { highWaterMark: 0 },
  );
  return {
    status: 200,
    headers: {
      'content-type': 'application/x-ndjson',
      'cache-control': 'no-store',
      ...(bytes === undefined ? {} : { 'content-length': String(bytes) }),
    },
    body,
  };
}

function slowReader(): ServiceError {
  return new ServiceError('request_timeout', 'Cannot send the file: the client must read it');
}
