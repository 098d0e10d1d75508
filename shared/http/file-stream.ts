import { describeError } from '../telemetry/describe-error.ts';
import type { RequestContext } from './request-context.ts';
import type { PlainResponse } from './responses.ts';

export interface StreamedFile {
  readonly chunks: AsyncIterable<Uint8Array>;
  /** Undefined while the file grows. */
  readonly bytes: number | undefined;
}

/**
 * A file as a body, at the pace of its reader. What fails before there is anything of it is an error
 * like any other. A file that breaks off later must not look complete, and the platform keeps the
 * connection of a failed body open: so the connection is cut.
 * @throws what the first piece throws
 */
export async function streamFile(
  exchange: RequestContext,
  { chunks, bytes }: StreamedFile,
): Promise<PlainResponse> {
  const { connection, clientLeft, telemetry } = exchange;
  const iterator = chunks[Symbol.asyncIterator]();
  let ahead: IteratorResult<Uint8Array> | undefined = await iterator.next();
  const body = new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        try {
          await connection?.drained(clientLeft);
          const { done, value } = ahead ?? (await iterator.next());
          ahead = undefined;
          if (done !== true) controller.enqueue(value);
          else controller.close();
        } catch (error) {
          telemetry.error('file broken off', { cause: describeError(error) });
          // Where there is no connection to cut, a failed body is at least no whole one.
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
