import { describeError } from '../telemetry/describe-error.ts';
import type { RequestContext } from './request-context.ts';
import type { PlainResponse } from './responses.ts';

interface StreamedFile {
  readonly chunks: AsyncIterable<Uint8Array>;
  /** Undefined while the file still grows. */
  readonly bytes: number | undefined;
}

/**
 * Sends a file at the pace of its reader. A failure before the first chunk is an ordinary error. A
 * failure later closes the connection: the partial file must not look complete, and the platform
 * would keep the connection of a failed body open.
 * @throws the error of the first chunk
 */
export async function streamFile(
  context: RequestContext,
  { chunks, bytes }: StreamedFile,
): Promise<PlainResponse> {
  const { connection, clientDisconnected, telemetry } = context;
  const iterator = chunks[Symbol.asyncIterator]();
  let first: IteratorResult<Uint8Array> | undefined = await iterator.next();
  const body = new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        try {
          await connection?.drained(clientDisconnected);
          const { done, value } = first ?? (await iterator.next());
          first = undefined;
          if (done !== true) controller.enqueue(value);
          else controller.close();
        } catch (error) {
          telemetry.error('file stream aborted', { cause: describeError(error) });
          // Without a connection to close, a failed body at least does not look complete.
          if (connection === undefined) return controller.error(error);
          connection.cut();
          controller.close();
        }
      },
      async cancel() {
        await iterator.return?.();
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
