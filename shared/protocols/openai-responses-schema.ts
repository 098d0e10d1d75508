import * as z from 'zod';
import { MAX_OUTPUT_TOKENS } from './validation.ts';
import {
  ANSWER_SCHEMA,
  COMMON_IGNORED,
  functionName,
  imageUrl,
  optional,
} from './openai-chat-schema.ts';

/** Twice the messages of a chat: a call and its output are two items. */
const MAX_ITEMS = 512;
const MAX_PARTS = 64;
const MAX_TOOLS = 128;
const MAX_ID_CHARS = 256;

const id = z.string().min(1).max(MAX_ID_CHARS);
/** What clients send back with our own items. It has no meaning in a request. */
const ECHO = { id: optional(id), status: z.unknown().optional() } as const;

const inputText = z.object({ type: z.literal('input_text'), text: z.string() });
const inputImage = z.object({
  type: z.literal('input_image'),
  image_url: imageUrl,
  detail: optional(z.enum(['auto', 'low', 'high'])),
  file_id: z.null().optional(),
});
const FILE_DATA = /^data:[a-z0-9.+-]+\/[a-z0-9.+-]+;base64,[A-Za-z0-9+/]+={0,2}$/;
const FILES = 'must be null: files are sent as file_data';
const inputFile = z.object({
  type: z.literal('input_file'),
  filename: z.string().min(1).max(256).nullish(),
  file_data: z.string().max(3_000_000).regex(FILE_DATA, 'must be a data URL of a file in base64'),
  file_url: z.null(FILES).optional(),
  file_id: z.null(FILES).optional(),
});
const outputText = z.object({ type: z.literal('output_text'), text: z.string() });
const refusal = z.object({ type: z.literal('refusal'), refusal: z.string() });

/** Text stands for a list of one part. */
function partsOf<Part extends z.ZodType>(type: string, part: Part) {
  return z.preprocess(
    (value) => (typeof value === 'string' ? [{ type, text: value }] : value),
    z.array(part).max(MAX_PARTS),
  );
}

const instructionParts = partsOf('input_text', z.discriminatedUnion('type', [inputText]));
const message = z.discriminatedUnion('role', [
  z.object({
    ...ECHO,
    type: z.literal('message'),
    role: z.literal('user'),
    content: partsOf(
      'input_text',
      z.discriminatedUnion('type', [inputText, inputImage, inputFile]),
    ),
  }),
  z.object({
    ...ECHO,
    type: z.literal('message'),
    role: z.enum(['system', 'developer']),
    content: instructionParts,
  }),
  z.object({
    ...ECHO,
    type: z.literal('message'),
    role: z.literal('assistant'),
    content: partsOf('output_text', z.discriminatedUnion('type', [outputText, refusal])),
    phase: optional(z.enum(['commentary', 'final_answer'])),
  }),
]);

const itemSchema = z.discriminatedUnion('type', [
  message,
  z.object({
    ...ECHO,
    type: z.literal('function_call'),
    call_id: id,
    name: z.string().min(1).max(64),
    arguments: z.string(),
  }),
  z.object({
    ...ECHO,
    type: z.literal('function_call_output'),
    call_id: id,
    output: instructionParts,
  }),
  z.object({
    ...ECHO,
    type: z.literal('reasoning'),
    summary: optional(z.array(z.unknown())),
    content: optional(z.array(z.unknown())),
    encrypted_content: optional(z.string()),
  }),
  z.object({ ...ECHO, type: z.literal('item_reference'), id }),
]);

/** One item of the input. Without a type, a role makes it a message and an id a reference. */
export const inputItemSchema = z.preprocess((value) => {
  if (typeof value !== 'object' || value === null) return value;
  const { type } = z.looseObject({ type: z.unknown().optional() }).parse(value);
  if (type !== undefined && type !== null) return value;
  return { ...value, type: 'role' in value ? 'message' : 'item_reference' };
}, itemSchema);
export type InputItem = z.output<typeof itemSchema>;

/** Text stands for one message of the user. */
const inputSchema = z.preprocess(
  (value) => (typeof value === 'string' ? [{ role: 'user', content: value }] : value),
  z.array(inputItemSchema).max(MAX_ITEMS),
);

const tool = z.strictObject({
  type: z.literal('function'),
  name: functionName,
  description: optional(z.string().max(4_096)),
  parameters: optional(z.record(z.string(), z.unknown())),
  strict: optional(z.boolean()),
  defer_loading: optional(z.literal(false)),
});

const namedTool = z.strictObject({ type: z.literal('function'), name: z.string() });
const toolChoice = z.union(
  [
    z.enum(['none', 'auto', 'required']),
    namedTool,
    z.strictObject({
      type: z.literal('allowed_tools'),
      mode: z.enum(['none', 'auto', 'required']).default('auto'),
      tools: z.array(namedTool).min(1).max(MAX_TOOLS),
    }),
  ],
  'must be none, auto, required, a function or allowed_tools with functions',
);

const textFormat = z.discriminatedUnion('type', [
  z.strictObject({ type: z.literal('text') }),
  z.strictObject({ type: z.literal('json_object') }),
  z.strictObject({ type: z.literal('json_schema'), ...ANSWER_SCHEMA }),
]);

/** They do not change the meaning of an answer, so they have no effect here. */
const IGNORED = {
  ...COMMON_IGNORED,
  include: optional(z.array(z.string().max(128)).max(32)),
  stream_options: optional(z.object({ include_obfuscation: optional(z.boolean()) })),
} as const;

/** Accepted with the value that asks for nothing; any other value is refused by name. */
const REFUSED = {
  top_logprobs: optional(z.literal(0)),
  prompt: z.null().optional(),
  context_management: optional(z.array(z.never()).max(0)),
} as const;

const penalty = optional(z.number().min(-2).max(2));

export const metadataSchema = z
  .record(z.string(), z.string().max(512))
  .refine((map) => Object.keys(map).length <= 16, 'must have at most 16 keys')
  .refine(
    (map) => Object.keys(map).every((key) => key.length <= 64),
    'must have keys of at most 64 characters',
  );

/** Every parameter that changes the meaning of an answer is honoured or refused, never dropped. */
export const responsesSchema = z.strictObject({
  ...IGNORED,
  ...REFUSED,
  model: optional(z.string().min(1).max(256)),
  input: optional(inputSchema),
  instructions: optional(z.string()),
  previous_response_id: optional(id),
  conversation: optional(
    z.union([id, z.strictObject({ id }).transform((value) => value.id)], 'must be an id'),
  ),
  store: optional(z.boolean()),
  background: optional(z.boolean()),
  stream: optional(z.boolean()),
  metadata: optional(metadataSchema),
  tools: optional(z.array(z.discriminatedUnion('type', [tool])).max(MAX_TOOLS)),
  tool_choice: optional(toolChoice),
  parallel_tool_calls: optional(z.boolean()),
  max_tool_calls: optional(z.int().min(1)),
  max_output_tokens: optional(z.int().min(16).max(MAX_OUTPUT_TOKENS)),
  temperature: optional(z.number().min(0).max(2)),
  top_p: optional(z.number().min(0).max(1)),
  presence_penalty: penalty,
  frequency_penalty: penalty,
  truncation: optional(z.enum(['auto', 'disabled'])),
  text: optional(
    z.strictObject({
      format: optional(textFormat),
      verbosity: optional(z.enum(['low', 'medium', 'high'])),
    }),
  ),
  reasoning: optional(
    z.strictObject({
      effort: optional(z.enum(['none', 'minimal', 'low', 'medium', 'high', 'xhigh'])),
      summary: optional(z.enum(['auto', 'concise', 'detailed'])),
      generate_summary: optional(z.enum(['auto', 'concise', 'detailed'])),
    }),
  ),
});

export type ResponsesParams = z.output<typeof responsesSchema>;

const status = z.enum(['in_progress', 'completed', 'incomplete']);
const storedPart = z.discriminatedUnion('type', [
  inputText,
  z.object({
    type: z.literal('input_image'),
    image_url: z.string(),
    detail: z.enum(['auto', 'low', 'high']),
  }),
  z.object({ type: z.literal('input_file'), filename: z.string(), file_data: z.string() }),
  z.object({ ...outputText.shape, annotations: z.tuple([]) }),
  refusal,
]);

/** An item, as this service stores it. */
export const storedItemSchema = z.discriminatedUnion('type', [
  z.object({
    type: z.literal('message'),
    id,
    status,
    role: z.enum(['user', 'assistant', 'system', 'developer']),
    content: z.array(storedPart),
    phase: z.enum(['commentary', 'final_answer']).optional(),
  }),
  z.object({
    type: z.literal('function_call'),
    id,
    call_id: z.string(),
    name: z.string(),
    arguments: z.string(),
    status,
  }),
  z.object({
    type: z.literal('function_call_output'),
    id,
    call_id: z.string(),
    output: z.string(),
    status,
  }),
  z.object({
    type: z.literal('reasoning'),
    id,
    summary: z.array(z.unknown()),
    content: z.array(z.unknown()).optional(),
    encrypted_content: z.string().optional(),
  }),
]);
