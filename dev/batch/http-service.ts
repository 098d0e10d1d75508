import { z } from 'zod';
import { resultLineSchema, type ResultLine } from '../../shared/batch/result.ts';
import { splitLines } from '../../shared/batch/split-lines.ts';
import { PlainFailure } from '../plain-failure.ts';
import type { BatchService } from './batch-service.ts';

export interface HttpServiceOptions {
  /** The address of the app. */
  readonly url: string;
  /** The key of the function app. */
  readonly key?: string | undefined;
  /** The caller's own key, where the app keeps a list of callers. */
  readonly callerKey?: string | undefined;
}

interface CallInit {
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string | FormData;
}

const fileSchema = z.object({ id: z.string() });
const batchSchema = z.object({
  id: z.string(),
  status: z.string(),
  output_file_id: z.string().nullable(),
  error_file_id: z.string().nullable(),
  request_counts: z.object({ completed: z.int(), failed: z.int() }),
  errors: z.object({ data: z.array(z.object({ message: z.string() })) }).nullable(),
});
const problemSchema = z.object({ error: z.object({ message: z.string() }) });

const ENDED = new Set(['completed', 'failed', 'expired', 'cancelled']);
const MAX_LINE_BYTES = 67_108_864;

/** Batches by HTTP, as any client of OpenAI's API would. */
export function createHttpService(options: HttpServiceOptions): BatchService {
  const base = `${options.url.replace(/\/+$/, '')}/v1`;
  const authorization = options.callerKey ?? options.key;
  const headers = {
    ...(options.key === undefined ? {} : { 'x-functions-key': options.key }),
    ...(authorization === undefined ? {} : { authorization: `Bearer ${authorization}` }),
  };

  async function call(path: string, init: CallInit = {}): Promise<Response> {
    const response = await fetch(`${base}${path}`, {
      ...init,
      headers: { ...headers, ...init.headers },
    });
    if (response.ok) return response;
    const problem = problemSchema.safeParse(await response.json().catch(() => undefined));
    const reason = problem.data?.error.message ?? 'no reason was given';
    throw new PlainFailure(`Cannot ask ${path}: ${response.status}, ${reason}`);
  }

  async function findBatch(id: string): Promise<z.infer<typeof batchSchema>> {
    return batchSchema.parse(await (await call(`/batches/${encodeURIComponent(id)}`)).json());
  }

  return {
    async submit(jobId, lines) {
      if (jobId.startsWith('batch_')) return (await findBatch(jobId)).id;
      const form = new FormData();
      form.set('purpose', 'batch');
      form.set('file', new Blob([lines]), `${jobId}.jsonl`);
      const file = fileSchema.parse(
        await (await call('/files', { method: 'POST', body: form })).json(),
      );
      const wanted = {
        input_file_id: file.id,
        endpoint: '/v1/chat/completions',
        completion_window: '24h',
        metadata: { job: jobId },
      };
      const created = await call('/batches', {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify(wanted),
      });
      return batchSchema.parse(await created.json()).id;
    },
    async look(id) {
      const { status, request_counts: counts, errors } = await findBatch(id);
      return {
        done: counts.completed + counts.failed,
        ended: ENDED.has(status),
        refused: status === 'failed' ? errors?.data[0]?.message : undefined,
      };
    },
    async *results(id) {
      const batch = await findBatch(id);
      for (const fileId of [batch.output_file_id, batch.error_file_id]) {
        if (fileId === null) continue;
        yield* linesOf(await call(`/files/${encodeURIComponent(fileId)}/content`));
      }
    },
  };
}

async function* linesOf({ body }: Response): AsyncGenerator<ResultLine> {
  if (body === null) return;
  for await (const { bytes } of splitLines(body, { maxLineBytes: MAX_LINE_BYTES })) {
    const text = Buffer.from(bytes ?? []).toString('utf8');
    yield resultLineSchema.parse(JSON.parse(text));
  }
}
