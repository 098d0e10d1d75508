import { z } from 'zod';

/** The exact shapes of the Responses API that this service sends: an unknown field is an error. */
const itemStatus = z.enum(['in_progress', 'completed', 'incomplete']);
const outputText = z.strictObject({
  type: z.literal('output_text'),
  text: z.string(),
  annotations: z.array(z.never()),
  logprobs: z.array(z.never()),
});
const refusal = z.strictObject({ type: z.literal('refusal'), refusal: z.string() });
const inputText = z.strictObject({ type: z.literal('input_text'), text: z.string() });
const inputImage = z.strictObject({
  type: z.literal('input_image'),
  image_url: z.string(),
  detail: z.enum(['low', 'high', 'auto']),
});
const inputFile = z.strictObject({
  type: z.literal('input_file'),
  filename: z.string(),
  file_data: z.string(),
});
const part = z.discriminatedUnion('type', [outputText, refusal, inputText, inputImage, inputFile]);

const id = (prefix: string) =>
  z.string().regex(new RegExp(`^${prefix}_[0-9a-f]{48}(?:[0-9a-f]{4})?$`));

const message = z.strictObject({
  type: z.literal('message'),
  id: z.string(),
  status: itemStatus,
  role: z.enum(['user', 'assistant', 'system', 'developer']),
  content: z.array(part),
  phase: z.enum(['commentary', 'final_answer']).optional(),
});
const functionCall = z.strictObject({
  type: z.literal('function_call'),
  id: z.string(),
  status: itemStatus,
  call_id: z.string().min(1).max(64),
  name: z.string().min(1),
  arguments: z.string(),
});
const functionCallOutput = z.strictObject({
  type: z.literal('function_call_output'),
  id: z.string(),
  status: itemStatus,
  call_id: z.string(),
  output: z.string(),
});
const reasoning = z.strictObject({
  type: z.literal('reasoning'),
  id: z.string(),
  summary: z.array(z.unknown()),
  content: z.array(z.unknown()).optional(),
  encrypted_content: z.string().optional(),
});

/** Any item, as `/input_items` lists it. */
export const itemShape = z.discriminatedUnion('type', [
  message,
  functionCall,
  functionCallOutput,
  reasoning,
]);
const outputItem = z.discriminatedUnion('type', [
  message.extend({ id: id('msg'), role: z.literal('assistant') }),
  functionCall.extend({ id: id('fc') }),
]);

const namedTool = z.strictObject({ type: z.literal('function'), name: z.string() });
const seconds = z.int().min(1_600_000_000).max(9_999_999_999);

/** A response: all fields are there, also those without a value. */
export const responseShape = z
  .strictObject({
    id: id('resp'),
    object: z.literal('response'),
    created_at: seconds,
    completed_at: seconds.nullable(),
    status: z.enum(['queued', 'in_progress', 'completed', 'failed', 'incomplete', 'cancelled']),
    incomplete_details: z
      .strictObject({ reason: z.enum(['max_output_tokens', 'content_filter']) })
      .nullable(),
    model: z.string(),
    previous_response_id: z.string().nullable(),
    conversation: z.strictObject({ id: z.string() }).optional(),
    instructions: z.string().nullable(),
    output: z.array(outputItem),
    error: z.strictObject({ code: z.string(), message: z.string() }).nullable(),
    tools: z.array(
      namedTool.extend({
        description: z.string().nullable(),
        parameters: z.record(z.string(), z.unknown()).nullable(),
        strict: z.boolean().nullable(),
      }),
    ),
    tool_choice: z.union([
      z.enum(['none', 'auto', 'required']),
      namedTool,
      z.strictObject({
        type: z.literal('allowed_tools'),
        mode: z.enum(['none', 'auto', 'required']),
        tools: z.array(namedTool),
      }),
    ]),
    truncation: z.enum(['auto', 'disabled']),
    parallel_tool_calls: z.boolean(),
    text: z.strictObject({
      format: z.union([
        z.strictObject({ type: z.enum(['text', 'json_object']) }),
        z.strictObject({
          type: z.literal('json_schema'),
          name: z.string(),
          description: z.string().nullable(),
          schema: z.null(),
          strict: z.boolean(),
        }),
      ]),
      verbosity: z.enum(['low', 'medium', 'high']).optional(),
    }),
    top_p: z.number(),
    presence_penalty: z.number(),
    frequency_penalty: z.number(),
    top_logprobs: z.int(),
    temperature: z.number(),
    reasoning: z
      .strictObject({ effort: z.string().nullable(), summary: z.string().nullable() })
      .nullable(),
    usage: z
      .strictObject({
        input_tokens: z.int(),
        output_tokens: z.int(),
        total_tokens: z.int(),
        input_tokens_details: z.strictObject({ cached_tokens: z.int() }),
        output_tokens_details: z.strictObject({ reasoning_tokens: z.int() }),
      })
      .nullable(),
    max_output_tokens: z.int().nullable(),
    max_tool_calls: z.int().nullable(),
    store: z.boolean(),
    background: z.boolean(),
    service_tier: z.string(),
    metadata: z.record(z.string(), z.string()),
    safety_identifier: z.string().nullable(),
    prompt_cache_key: z.string().nullable(),
  })
  .refine(({ status, completed_at }) => (status === 'completed') === (completed_at !== null))
  .refine(({ status, error }) => (status === 'failed') === (error !== null))
  .refine(({ status, incomplete_details: why }) => (status === 'incomplete') === (why !== null));

export type ResponseShape = z.infer<typeof responseShape>;

const number = { sequence_number: z.int().min(0) };
const inOutput = { ...number, output_index: z.int().min(0) };
const inItem = { ...inOutput, item_id: z.string() };
const inContent = { ...inItem, content_index: z.int().min(0) };
const outputPart = z.discriminatedUnion('type', [outputText, refusal]);

function whole(type: string) {
  return z.strictObject({ ...number, type: z.literal(type), response: responseShape });
}

/** An event of a stream. */
export const eventShape = z.discriminatedUnion('type', [
  whole('response.created'),
  whole('response.queued'),
  whole('response.in_progress'),
  whole('response.completed'),
  whole('response.failed'),
  whole('response.incomplete'),
  z.strictObject({
    ...inOutput,
    type: z.enum(['response.output_item.added', 'response.output_item.done']),
    item: outputItem,
  }),
  z.strictObject({
    ...inContent,
    type: z.enum(['response.content_part.added', 'response.content_part.done']),
    part: outputPart,
  }),
  z.strictObject({
    ...inContent,
    type: z.literal('response.output_text.delta'),
    delta: z.string(),
    logprobs: z.array(z.never()),
  }),
  z.strictObject({
    ...inContent,
    type: z.literal('response.output_text.done'),
    text: z.string(),
    logprobs: z.array(z.never()),
  }),
  z.strictObject({ ...inContent, type: z.literal('response.refusal.delta'), delta: z.string() }),
  z.strictObject({ ...inContent, type: z.literal('response.refusal.done'), refusal: z.string() }),
  z.strictObject({
    ...inItem,
    type: z.literal('response.function_call_arguments.delta'),
    delta: z.string(),
  }),
  z.strictObject({
    ...inItem,
    type: z.literal('response.function_call_arguments.done'),
    name: z.string(),
    arguments: z.string(),
  }),
]);

export type EventShape = z.infer<typeof eventShape>;
