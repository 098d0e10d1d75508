import * as z from 'zod';

/** What the error bodies of OpenAI, Azure and compatible servers have in common. */
export interface UpstreamErrorBody {
  readonly code: string;
  readonly param: string;
  /** For recognising the kind of failure only: it never leaves the mapping. */
  readonly message: string;
  /** Names of the content filter's categories that were hit. */
  readonly categories: readonly string[];
}

const EMPTY: UpstreamErrorBody = { code: '', param: '', message: '', categories: [] };
const MAX_MESSAGE_CHARS = 2_000;

const word = z.string().catch('');
const errorSchema = z.object({
  code: word,
  type: word,
  param: word,
  message: word,
  innererror: z
    .object({
      code: word,
      content_filter_result: z.record(z.string(), z.unknown()).catch({}),
    })
    .catch({ code: '', content_filter_result: {} }),
});
const hitSchema = z.object({ filtered: z.literal(true) });

/** Reads the `error` member of a body; whatever is missing or of a wrong type is empty. */
export function readErrorBody(error: unknown): UpstreamErrorBody {
  if (typeof error === 'string') return { ...EMPTY, message: error.slice(0, MAX_MESSAGE_CHARS) };
  const parsed = errorSchema.safeParse(error);
  if (!parsed.success) return EMPTY;
  const { code, type, param, message, innererror } = parsed.data;
  const hits = Object.entries(innererror.content_filter_result).filter(
    ([name, verdict]) => /^[a-z_]{1,40}$/.test(name) && hitSchema.safeParse(verdict).success,
  );
  return {
    code: innererror.code === 'ResponsibleAIPolicyViolation' ? 'content_filter' : code || type,
    param,
    message: message.slice(0, MAX_MESSAGE_CHARS),
    categories: hits.map(([name]) => name).sort(),
  };
}

/** A code of the upstream in a form that is safe in a log: a short word or nothing. */
export function safeCode(code: unknown): string | undefined {
  return typeof code === 'string' && /^[A-Za-z0-9_.-]{1,64}$/.test(code) ? code : undefined;
}
