import { z } from 'zod';
import { resultLineSchema, type ResultLine } from '../../shared/batch/model/item.ts';
import { readLines } from '../../shared/batch/model/jsonl.ts';
import { CliError } from '../cli-error.ts';
import { UnavailableError, type BatchService } from './batch-service.ts';

export interface HttpServiceOptions {
  /** The URL of the app. */
  readonly url: string;
  /** The key of the function app. */
  readonly key?: string | undefined;
  /** The caller key, if the app has a list of them. */
  readonly callerKey?: string | undefined;
  /** The batch was submitted before: it is looked up by its id and never created again. */
  readonly resumes?: boolean;
}

interface CallInit {
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string | FormData;
  readonly signal?: AbortSignal;
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

/** Statuses of an app that is busy, restarts, or misses a dependency. */
const TRANSIENT = new Set([429, 502, 503, 504]);
/** Timeout of a progress request, which is then repeated. */
const PROGRESS_TIMEOUT_MS = 30_000;
const ENDED = new Set(['completed', 'failed', 'expired', 'cancelled']);
const MAX_LINE_BYTES = 67_108_864;

/** Submits batches over HTTP, as any client of OpenAI's API does. */
export function createHttpService(options: HttpServiceOptions): BatchService {
  const call = createCall(options);

  async function findBatch(id: string): Promise<z.infer<typeof batchSchema>> {
    const signal = AbortSignal.timeout(PROGRESS_TIMEOUT_MS);
    const found = await call(`/batches/${encodeURIComponent(id)}`, { signal });
    return read(found, batchSchema);
  }

  return {
    async submit(jobId, lines) {
      if (options.resumes === true) return (await findBatch(jobId)).id;
      const form = new FormData();
      form.set('purpose', 'batch');
      form.set('file', new Blob([lines]), `${jobId}.jsonl`);
      const file = await read(await call('/files', { method: 'POST', body: form }), fileSchema);
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
      return (await read(created, batchSchema)).id;
    },
    async progress(id) {
      const { status, request_counts: counts, errors } = await findBatch(id);
      return {
        started: status !== 'validating',
        done: counts.completed + counts.failed,
        failed: counts.failed,
        ended: ENDED.has(status),
        rejected: status === 'failed' ? errors?.data[0]?.message : undefined,
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

type Call = (path: string, init?: CallInit) => Promise<Response>;

/** Calls the app; a failure becomes an error with one line of text. */
function createCall({ url, key, callerKey }: HttpServiceOptions): Call {
  const base = `${url.replace(/\/+$/, '')}/v1`;
  const authorization = callerKey ?? key;
  const headers = {
    ...(key === undefined ? {} : { 'x-functions-key': key }),
    ...(authorization === undefined ? {} : { authorization: `Bearer ${authorization}` }),
  };
  return async (path, init = {}) => {
    const wanted = { ...init, headers: { ...headers, ...init.headers } };
    const response = await fetch(`${base}${path}`, wanted).catch((cause: unknown) => {
      throw new UnavailableError(`Cannot reach the app at ${url}: is it running?`, { cause });
    });
    if (response.ok) return response;
    const problem = problemSchema.safeParse(await response.json().catch(() => undefined));
    const reason = problem.data?.error.message ?? 'no reason was given';
    const message = `Cannot ask ${path}: ${response.status}, ${reason}`;
    if (!TRANSIENT.has(response.status)) throw new CliError(message);
    const retryAfterSeconds = Number(response.headers.get('retry-after') ?? 0) || 0;
    throw new UnavailableError(message, { what: `status ${response.status}`, retryAfterSeconds });
  };
}

/** The response may be truncated, or come from a proxy: neither is valid. */
async function read<T>(response: Response, schema: z.ZodType<T>): Promise<T> {
  try {
    return schema.parse(await response.json());
  } catch (cause) {
    throw invalidResponse(cause);
  }
}

async function* linesOf({ body }: Response): AsyncGenerator<ResultLine> {
  if (body === null) return;
  try {
    for await (const { lines } of readLines(body, { maxLineBytes: MAX_LINE_BYTES })) {
      for (const { bytes } of lines) {
        const text = Buffer.from(bytes ?? []).toString('utf8');
        yield resultLineSchema.parse(JSON.parse(text));
      }
    }
  } catch (cause) {
    throw invalidResponse(cause);
  }
}

function invalidResponse(cause: unknown): UnavailableError {
  const message = 'Cannot read the response of the app: it must be complete';
  return new UnavailableError(message, { cause, what: 'invalid responses' });
}
