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

export type Completion = z.infer<typeof completionSchema>;
export type CompletionChunk = z.infer<typeof chunkSchema>;
export type CompletionUsage = Completion['usage'];
