import * as z from 'zod';

/** What is known of a batch from its beginning. Changed only by who cancels or retries it. */
export const recordSchema = z.object({
  v: z.literal(1),
  id: z.string(),
  /** Null where everybody who may call may ask for it. */
  owner: z.string().nullable(),
  endpoint: z.string(),
  inputFileId: z.string().nullable(),
  inputBlob: z.string().nullable(),
  /** The items of a message; others are lines of the input blob. */
  items: z.array(z.unknown()).optional(),
  digest: z.string(),
  createdAt: z.string(),
  expiresAt: z.string(),
  metadata: z.record(z.string(), z.string()).nullable(),
  cancelledAt: z.string().nullable(),
  /** How often the failed items were begun again. */
  generation: z.int(),
});

export type BatchRecord = z.infer<typeof recordSchema>;

/** As long as OpenAI gives a batch; then what has no answer yet fails. */
export const COMPLETION_WINDOW_MS = 24 * 60 * 60_000;

export interface NewBatch {
  readonly id: string;
  readonly owner: string | null;
  readonly digest: string;
  /** Milliseconds since the epoch. */
  readonly now: number;
}

/** A record with nothing in it but what every batch has. */
export function newRecord({ id, owner, digest, now }: NewBatch): BatchRecord {
  return {
    v: 1,
    id,
    owner,
    endpoint: '/v1/chat/completions',
    inputFileId: null,
    inputBlob: null,
    digest,
    createdAt: new Date(now).toISOString(),
    expiresAt: new Date(now + COMPLETION_WINDOW_MS).toISOString(),
    metadata: null,
    cancelledAt: null,
    generation: 0,
  };
}
