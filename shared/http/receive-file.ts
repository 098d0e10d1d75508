import { createHash, type Hash } from 'node:crypto';
import { startRecording } from './answer-recording.ts';
import {
  claimUpload,
  fingerprintOf,
  type IdempotencyDependencies,
  replayOf,
} from './idempotency.ts';
import type { CallerContext } from './request-context.ts';
import { jsonResponse, type PlainResponse } from './responses.ts';
import type { FileService } from '../batch/api/file-service.ts';

/** A file that has arrived whole. */
export interface Upload {
  /** Its response. The file expires after so many seconds if they are given. */
  finish(expirySeconds: number | undefined): Promise<PlainResponse>;
  /** Never rejects. */
  discard(): Promise<void>;
}

interface UploadedFile {
  readonly filename?: string | undefined;
  readonly chunks: AsyncIterable<Uint8Array>;
}

interface ReceiveOptions {
  readonly context: CallerContext;
  readonly files: FileService;
  readonly dependencies: IdempotencyDependencies;
}

/**
 * Stores a file. With an `Idempotency-Key` that has an answer, the file is only compared with the
 * first one: its name and its content, for the boundary of the form differs each time.
 * @throws ServiceError idempotency_in_progress
 */
export async function receiveFile(
  { filename = 'input.jsonl', chunks }: UploadedFile,
  { context, files, dependencies }: ReceiveOptions,
): Promise<Upload> {
  const { callerId: owner, telemetry } = context;
  const claim = await claimUpload(context, dependencies);
  const hash = createHash('sha256');
  const fingerprint = () => fingerprintOf(context, `${filename}\n${hash.digest('hex')}`);
  async function discardClaim(): Promise<void> {
    await claim?.release().catch(() => undefined);
  }
  try {
    if (claim?.answered !== undefined) {
      const { answered } = claim;
      for await (const chunk of chunks) hash.update(chunk);
      await claim.release();
      const finish = async () => replayOf(answered, fingerprint());
      return { finish, discard: async () => undefined };
    }
    const stored = await files.create({ owner, filename, chunks: hashing(chunks, hash) });
    return {
      async finish(seconds) {
        const file =
          seconds === undefined ? stored : await files.expireAfter(stored.id, { owner, seconds });
        const response = jsonResponse(file);
        if (claim === undefined) return response;
        await claim.start(fingerprint());
        return startRecording(claim, telemetry).record(response, context.clientDisconnected);
      },
      async discard() {
        await files.remove(stored.id, owner).catch(() => undefined);
        await discardClaim();
      },
    };
  } catch (error) {
    await discardClaim();
    throw error;
  }
}

async function* hashing(
  chunks: AsyncIterable<Uint8Array>,
  hash: Hash,
): AsyncGenerator<Uint8Array, void, void> {
  for await (const chunk of chunks) {
    hash.update(chunk);
    yield chunk;
  }
}
