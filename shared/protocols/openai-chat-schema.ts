import * as z from 'zod';
import { MAX_OUTPUT_TOKENS } from './validation.ts';

/** Far above every bound that a setting gives; it limits the work of reading a body. */
const MAX_MESSAGES = 100_000;
const MAX_PARTS = 64;
const MAX_TOOLS = 128;
const MAX_TOOL_CALLS = 128;
/** The longest address that browsers and proxies handle alike. */
const MAX_URL_CHARS = 2_048;
/** An image of about 2 MB. The cap on the body is lower by default. */
const MAX_DATA_URL_CHARS = 3_000_000;
const DATA_URL = /^data:image\/(?:png|jpeg|gif|webp);base64,[A-Za-z0-9+/]+={0,2}$/;

const TEXT_ONLY = 'must be null: answers are text';
const NOT_SUPPORTED = 'must be null: it is not supported';

/** A field that clients also send as null. Its output has no null. */
export function optional<Schema extends z.ZodType>(schema: Schema) {
  return schema.nullish().transform((value) => value ?? undefined);
}

/** Clients add fields of their own to parts, such as `annotations`. They have no effect here. */
const textPart = z.object({ type: z.literal('text'), text: z.string() });
const refusalPart = z.object({ type: z.literal('refusal'), refusal: z.string() });
/** The address of an image. The endpoint of the model fetches it; this service never does. */
export const imageUrl = z
  .string()
  .max(MAX_DATA_URL_CHARS)
  .refine(isImageUrl, 'must be an https URL, or a data URL of a PNG, JPEG, GIF or WebP image');
const imagePart = z.object({
  type: z.literal('image_url'),
  image_url: z.object(
    { url: imageUrl, detail: optional(z.enum(['auto', 'low', 'high', 'original'])) },
    'must be an object with the field url',
  ),
});

function isImageUrl(text: string): boolean {
  if (text.startsWith('data:')) return DATA_URL.test(text);
  return text.length <= MAX_URL_CHARS && URL.parse(text)?.protocol === 'https:';
}

function listOf<Part extends z.ZodType>(part: Part) {
  return z.array(part).min(1).max(MAX_PARTS);
}

const text = z
  .union([z.string(), listOf(textPart)], 'must be text or a list of text parts')
  .transform((value) =>
    typeof value === 'string' ? value : value.map(({ text }) => text).join(''),
  );

const userContent = z.union(
  [z.string(), listOf(z.discriminatedUnion('type', [textPart, imagePart]))],
  'must be text or a list of parts of the types text and image_url',
);

const assistantContent = z
  .union(
    [z.string(), listOf(z.discriminatedUnion('type', [textPart, refusalPart]))],
    'must be text or a list of parts of the types text and refusal',
  )
  .nullish()
  .transform((value) =>
    typeof value === 'object' && value !== null
      ? value.map((part) => (part.type === 'text' ? part.text : part.refusal)).join('')
      : (value ?? null),
  );

const FUNCTION_NAME = /^[A-Za-z0-9_-]{1,64}$/;
export const functionName = z
  .string()
  .regex(FUNCTION_NAME, 'must be 1 to 64 letters, digits, underscores or hyphens');
const id = z.string().min(1).max(256);
const name = optional(z.string().max(128));

const toolCall = z.object({
  id,
  type: z.literal('function'),
  // Not longer than a name, but any characters: it is what a model wrote.
  function: z.object({ name: z.string().min(1).max(64), arguments: z.string() }),
});

const message = z.discriminatedUnion('role', [
  z.strictObject({ role: z.literal('system'), content: text, name }),
  z.strictObject({ role: z.literal('developer'), content: text, name }),
  z.strictObject({ role: z.literal('user'), content: userContent, name }),
  // Clients send earlier answers back as they got them, with fields that say nothing to a model.
  z.object({
    role: z.literal('assistant'),
    content: assistantContent,
    name,
    refusal: optional(z.string()),
    tool_calls: optional(z.array(toolCall).max(MAX_TOOL_CALLS)),
    audio: z.null(TEXT_ONLY).optional(),
    function_call: z.null('must be sent as tool_calls').optional(),
  }),
  z.strictObject({ role: z.literal('tool'), content: text, tool_call_id: id, name }),
]);

const tool = z.strictObject({
  type: z.literal('function'),
  function: z.strictObject({
    name: functionName,
    description: optional(z.string().max(4_096)),
    parameters: optional(z.record(z.string(), z.unknown())),
    strict: optional(z.boolean()),
  }),
});

const toolChoice = z.union(
  [
    z.enum(['none', 'auto', 'required']),
    z.strictObject({
      type: z.literal('function'),
      function: z.strictObject({ name: z.string() }),
    }),
  ],
  'must be none, auto, required or an object of the type function',
);

/** A JSON Schema for the answer, with its name. */
export const ANSWER_SCHEMA = {
  name: functionName,
  description: optional(z.string().max(4_096)),
  schema: z.record(z.string(), z.unknown()),
  strict: optional(z.boolean()),
} as const;

const responseFormat = z.discriminatedUnion('type', [
  z.strictObject({ type: z.literal('text') }),
  z.strictObject({ type: z.literal('json_object') }),
  z.strictObject({ type: z.literal('json_schema'), json_schema: z.strictObject(ANSWER_SCHEMA) }),
]);

/** Fields of both dialects that do not change the meaning of an answer: they have no effect here. */
export const COMMON_IGNORED = {
  user: optional(z.string().max(512)),
  safety_identifier: optional(z.string().max(512)),
  prompt_cache_key: optional(z.string().max(512)),
  prompt_cache_retention: optional(z.string().max(64)),
  service_tier: optional(z.string().max(64)),
} as const;

const IGNORED = {
  ...COMMON_IGNORED,
  prompt_cache_options: optional(z.record(z.string(), z.unknown())),
  store: optional(z.boolean()),
  metadata: optional(z.record(z.string().max(64), z.string().max(512))),
} as const;

/** Accepted with the value that asks for nothing; any other value is refused by name. */
const REFUSED = {
  n: optional(z.literal(1)),
  logprobs: optional(z.literal(false)),
  top_logprobs: optional(z.literal(0)),
  modalities: optional(z.array(z.literal('text'))),
  logit_bias: optional(z.record(z.string(), z.unknown()).refine(isEmpty, 'must be empty')),
  audio: z.null(TEXT_ONLY).optional(),
  functions: optional(z.array(z.unknown()).max(0, 'must be empty: send tools instead')),
  // Without functions both values ask for nothing.
  function_call: optional(z.enum(['none', 'auto'])),
  prediction: z.null(NOT_SUPPORTED).optional(),
  moderation: z.null(NOT_SUPPORTED).optional(),
  web_search_options: z.null(NOT_SUPPORTED).optional(),
} as const;

function isEmpty(value: object): boolean {
  return Object.keys(value).length === 0;
}

const penalty = optional(z.number().min(-2).max(2));
const tokens = optional(z.int().min(1).max(MAX_OUTPUT_TOKENS));
const stopText = z.string().min(1).max(256);

/** Every parameter that changes the meaning of an answer is honoured or refused, never dropped. */
export const completionsSchema = z.strictObject({
  ...IGNORED,
  ...REFUSED,
  model: optional(z.string().min(1).max(256)),
  messages: z.array(message).min(1).max(MAX_MESSAGES),
  stream: optional(z.boolean()),
  stream_options: optional(
    z.strictObject({
      include_usage: optional(z.boolean()),
      include_obfuscation: optional(z.boolean()),
    }),
  ),
  max_tokens: tokens,
  max_completion_tokens: tokens,
  temperature: optional(z.number().min(0).max(2)),
  top_p: optional(z.number().min(0).max(1)),
  frequency_penalty: penalty,
  presence_penalty: penalty,
  seed: optional(z.int()),
  stop: optional(
    z.union([stopText, z.array(stopText).max(4)], 'must be text or a list of at most 4 texts'),
  ),
  reasoning_effort: optional(z.enum(['none', 'minimal', 'low', 'medium', 'high', 'xhigh', 'max'])),
  verbosity: optional(z.enum(['low', 'medium', 'high'])),
  response_format: optional(responseFormat),
  tools: optional(z.array(tool).max(MAX_TOOLS)),
  tool_choice: optional(toolChoice),
  parallel_tool_calls: optional(z.boolean()),
});

/** The body of POST /v1/chat/completions and of a batch item in this protocol. */
export type CompletionsRequest = z.output<typeof completionsSchema>;
export type CompletionsMessage = CompletionsRequest['messages'][number];
