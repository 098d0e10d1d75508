import * as z from 'zod';

/** Validates only the members that are used; endpoints may add others. */
const count = z.number().int().nonnegative();
const optionalCount = count.nullish().catch(undefined);
const usage = z
  .object({
    prompt_tokens: count,
    completion_tokens: count,
    total_tokens: count.optional(),
    // Cached input tokens have three names: OpenAI, DeepSeek, and proxies of Anthropic.
    prompt_tokens_details: z.object({ cached_tokens: optionalCount }).nullish().catch(undefined),
    prompt_cache_hit_tokens: optionalCount,
    cache_read_input_tokens: optionalCount,
  })
  .nullish()
  // An invalid count does not void the response: usage is estimated instead.
  .catch(undefined);
const publicName = z.string().max(200).optional().catch(undefined);
const text = z.string().nullish();
/** The predecessor of tool calls. It is never requested. */
const functionCall = z.unknown().optional();

const toolCall = z.object({
  id: z.string().min(1),
  function: z.object({ name: z.string().min(1), arguments: z.string() }),
});

/** The body of a chat completion. */
export const completionSchema = z.object({
  model: publicName,
  choices: z
    .array(
      z.object({
        finish_reason: z.string(),
        message: z.object({
          content: text,
          refusal: text,
          tool_calls: z.array(toolCall).nullish(),
          function_call: functionCall,
        }),
      }),
    )
    .min(1),
  usage,
});

const toolCallDelta = z.object({
  index: count,
  id: z.string().nullish(),
  function: z.object({ name: z.string().nullish(), arguments: z.string().nullish() }).nullish(),
});

const delta = z.object({
  content: text,
  refusal: text,
  // Compatible servers use two names for reasoning text. It counts as progress and is not shown.
  reasoning_content: text.catch(undefined),
  reasoning: text.catch(undefined),
  tool_calls: z.array(toolCallDelta).nullish(),
  function_call: functionCall,
});

/** A chunk of a streamed completion. Without choices it only carries usage, or nothing. */
export const chunkSchema = z.object({
  error: z.unknown().optional(),
  model: publicName,
  choices: z
    .array(
      z.object({
        index: count.optional(),
        delta: delta.nullish(),
        finish_reason: z.string().nullish(),
      }),
    )
    .nullish(),
  usage,
});

/** Members of a delta that make it more than a piece of text. */
const OTHER_MEMBERS = ['refusal', 'reasoning_content', 'reasoning', 'tool_calls', 'function_call'];

/**
 * Most chunks are one piece of text and nothing else. What this returns is what the schema makes of
 * the same value, for a fifth of the time; undefined for every value that only the schema can judge.
 */
export function readPlainChunk(value: unknown): CompletionChunk | undefined {
  if (!isObject(value)) return undefined;
  const { error, model, choices, usage: used } = value;
  if (isPresent(error) || isPresent(used) || !Array.isArray(choices)) return undefined;
  if (model !== undefined && (typeof model !== 'string' || model.length > 200)) return undefined;
  const [choice, second]: unknown[] = choices;
  if (second !== undefined || choices.length !== 1 || !isObject(choice)) return undefined;
  const { index, delta: part, finish_reason: reason } = choice;
  if (isPresent(reason) || (index !== undefined && index !== 0) || !isObject(part))
    return undefined;
  const { content } = part;
  if (typeof content !== 'string') return undefined;
  if (OTHER_MEMBERS.some((name) => isPresent(part[name]))) return undefined;
  return { model, choices: [{ index, delta: { content } }] };
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isPresent(value: unknown): boolean {
  return value !== undefined && value !== null;
}

export type Completion = z.infer<typeof completionSchema>;
export type CompletionChunk = z.infer<typeof chunkSchema>;
export type CompletionUsage = Completion['usage'];
