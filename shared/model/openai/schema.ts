import * as z from 'zod';

/** Validates only the members that are used; endpoints may add others. */
const count = z.number().int().nonnegative();
const usage = z
  .object({ prompt_tokens: count, completion_tokens: count, total_tokens: count.optional() })
  .nullish()
  // An invalid count does not void the response: usage is estimated instead.
  .catch(undefined);
const publicName = z.string().max(200).optional().catch(undefined);
const text = z.string().nullish();

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
});

/** A chunk of a streamed completion. The first chunk of Azure and the usage chunk have no choices. */
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
    .optional(),
  usage,
});

export type Completion = z.infer<typeof completionSchema>;
export type CompletionChunk = z.infer<typeof chunkSchema>;
export type CompletionUsage = Completion['usage'];
