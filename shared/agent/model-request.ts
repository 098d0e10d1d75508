import type {
  CallerFields,
  ContentPart,
  ModelMessage,
  ModelParameter,
  ModelRequest,
  ModelTool,
  ResponseFormat,
} from '../model/model.ts';
import { ServiceError } from '../errors.ts';
import { fitMessages, type InputBounds } from './input-bounds.ts';
import type { AgentInput, ClientTool, FieldNames, InputSize, Message } from './agent.ts';
import type { Tool } from './tool.ts';

/** What the agent adds to the input of every run. */
export interface PromptOptions {
  /** The system prompt. */
  readonly instructions: string;
  readonly parameters?: ModelParameters | undefined;
  readonly bounds?: InputBounds | undefined;
  /** The agent's own tools at this moment. */
  readonly tools?: (() => readonly Tool[]) | undefined;
  /** Sentences about this moment that follow the system prompt. */
  readonly notices?: (() => readonly string[]) | undefined;
  /** The shape of every answer for which the input names none. */
  readonly output?: ResponseFormat | undefined;
}

interface ModelParameters {
  /** An upper bound: an input may set a lower one, not a higher one. */
  readonly maxOutputTokens?: number | undefined;
  /** The context window of the model, which no output exceeds. */
  readonly contextTokens?: number | undefined;
  /** The bound of inputs without one. */
  readonly defaultOutputTokens?: number | undefined;
  /** The default of inputs without a temperature. */
  readonly temperature?: number | undefined;
}

/** How one step of a run differs from the first. */
export interface StepOptions {
  /** The messages that earlier steps added. */
  readonly added: readonly ModelMessage[];
  /** The tools that the model may call in this step. */
  readonly offer: ToolOffer;
}

/** `client` are the functions of the client, `own` the agent's. */
export type ToolOffer = 'all' | 'own' | 'client' | 'none';

type BoundedModelRequest = ModelRequest & { readonly maxOutputTokens: number };

/** The default of `model.default_output_tokens`. */
const DEFAULT_OUTPUT_TOKENS = 4_096;

/**
 * The model request of an input. The model call, the token estimate and the cache key all come from
 * this request, so none of them can miss a part of it. It always has a bound on the output: what is
 * reserved for a run is what the model may use.
 * @throws ServiceError invalid_request if a tool of the client has the name of an own tool, or
 * context_too_long if the conversation exceeds the bounds
 */
export function buildModelRequest(
  input: AgentInput,
  prompt: PromptOptions,
  step: StepOptions = firstStep(input),
): BoundedModelRequest {
  const {
    messages: _messages,
    tools: _tools,
    toolChoice: _choice,
    maxOwnToolCalls: _bound,
    mayDropMessages: _mayDrop,
    parallelToolCalls,
    fieldNames,
    ...modelParameters
  } = input;
  const { parameters = {} } = prompt;
  const messages = fitMessages(input, prompt.bounds);
  const responseFormat = responseFormatOf(input, prompt);
  const tools = toolParameters(input, { own: prompt.tools?.() ?? [], step });
  const maxOutputTokens = Math.min(
    input.maxOutputTokens ?? parameters.defaultOutputTokens ?? DEFAULT_OUTPUT_TOKENS,
    parameters.maxOutputTokens ?? Number.POSITIVE_INFINITY,
    parameters.contextTokens ?? Number.POSITIVE_INFINITY,
  );
  const callerFields =
    fieldNames &&
    callerFieldsOf({ ...input, messages }, { fieldNames, tools: tools?.tools, maxOutputTokens });
  return {
    ...modelParameters,
    messages: [
      { role: 'system', content: instructionsOf(prompt, responseFormat) },
      ...messages.map(toModelMessage),
      ...step.added,
    ],
    maxOutputTokens,
    temperature: input.temperature ?? parameters.temperature,
    responseFormat,
    ...(tools === undefined ? {} : { ...tools, parallelToolCalls }),
    ...(callerFields === undefined ? {} : { callerFields }),
  };
}

interface NamedInput {
  readonly fieldNames: FieldNames;
  readonly tools: readonly ModelTool[] | undefined;
  /** The bound that is sent. */
  readonly maxOutputTokens: number;
}

function callerFieldsOf(
  input: AgentInput,
  { fieldNames, tools = [], maxOutputTokens }: NamedInput,
): CallerFields {
  const { messages, ...parameters } = fieldNames;
  const names = Object.keys(parameters) as ModelParameter[];
  // A bound that this service lowered is its own.
  const isOwn = (name: ModelParameter): boolean =>
    name === 'maxOutputTokens' && input.maxOutputTokens !== maxOutputTokens;
  const toolNames = new Map(input.tools?.map(({ name, nameParam }) => [name, nameParam]));
  return {
    parameters: Object.fromEntries(
      names
        .filter((name) => input[name] !== undefined && !isOwn(name))
        .map((name) => [name, parameters[name]]),
    ),
    messages: [undefined, ...input.messages.map(() => messages)],
    tools: tools.map(({ name }) => toolNames.get(name)),
    responseSchema: input.responseFormat?.param,
  };
}

/** Undefined where any text is an answer. */
export function responseFormatOf(
  { responseFormat }: AgentInput,
  { output }: PromptOptions,
): ResponseFormat | undefined {
  const format = responseFormat ?? output;
  if (format === undefined || format.type === 'text') return undefined;
  if (format.type !== 'json_schema') return { type: 'json_object' };
  const { name, description, schema, strict } = format;
  return { type: 'json_schema', name, description, schema, strict };
}

/** Models refuse the format `json_object` in a conversation that does not name it. */
function instructionsOf(prompt: PromptOptions, format?: ResponseFormat): string {
  const rules = [...(prompt.notices?.() ?? [])];
  if (format?.type === 'json_object') rules.push('Answer with one JSON object and nothing else.');
  return [prompt.instructions, ...rules].join('\n\n');
}

/** A forced choice names tools of the client, so the first step then offers no others. */
function firstStep({ toolChoice }: AgentInput): StepOptions {
  if (toolChoice === undefined || toolChoice === 'auto') return { added: [], offer: 'all' };
  return { added: [], offer: toolChoice === 'none' ? 'none' : 'client' };
}

interface StepTools {
  readonly own: readonly Tool[];
  readonly step: StepOptions;
}

/** Undefined if there are no tools at all: some endpoints reject the parameters then. */
function toolParameters(
  { tools: clientTools = [], toolChoice }: AgentInput,
  { own, step }: StepTools,
): Pick<ModelRequest, 'tools' | 'toolChoice'> | undefined {
  assertNoEqualNames(clientTools, own);
  const offered = step.offer === 'client' ? [] : own.map(({ definition }) => definition);
  const tools = step.offer === 'own' ? offered : [...offered, ...clientTools.map(toModelTool)];
  if (tools.length === 0) return undefined;
  // The definitions stay, because models expect those of the calls in the conversation.
  if (step.offer === 'none') return { tools, toolChoice: 'none' };
  // A forced choice would force a call in every step, so that the run could not end.
  return { tools, toolChoice: step.added.length === 0 ? toolChoice : undefined };
}

function assertNoEqualNames(clientTools: readonly ClientTool[], own: readonly Tool[]): void {
  const names = new Set(own.map(({ definition }) => definition.name));
  const conflict = clientTools.find(({ name }) => names.has(name));
  if (conflict === undefined) return;
  const { nameParam: param } = conflict;
  throw new ServiceError(
    'invalid_request',
    `Cannot accept the request: "${param}" must not be the name of a tool of the agent`,
    { param },
  );
}

function toModelTool({ name, description, parameters, strict }: ClientTool): ModelTool {
  return { name, description, parameters, strict };
}

/** Only the agent's own instructions are a system message. Those of a caller become user text. */
function toModelMessage(message: Message): ModelMessage {
  switch (message.role) {
    case 'system':
    case 'developer':
      return { role: 'user', content: `Instructions of the caller:\n${message.content}` };
    case 'user':
    case 'assistant':
    case 'tool':
      return message;
  }
}

/** The size of the model request that an input leads to. */
export function estimateInput(input: AgentInput, prompt: PromptOptions): InputSize {
  return sizeOf(buildModelRequest(input, prompt));
}

/** The size of a model request. */
export function sizeOf(request: BoundedModelRequest): InputSize {
  const { messages, tools = [], responseFormat, maxOutputTokens } = request;
  const texts = [...messages.map(textOf), ...tools.map((tool) => JSON.stringify(tool))];
  if (responseFormat?.type === 'json_schema') texts.push(JSON.stringify(responseFormat));
  const images = messages.reduce((sum, message) => sum + imagesOf(message), 0);
  return { texts, maxOutputTokens, ...(images === 0 ? {} : { images }) };
}

/** The number of images and files in a message. */
export function imagesOf({ content }: Message | ModelMessage): number {
  return Array.isArray(content) ? content.filter(({ type }) => type !== 'text').length : 0;
}

/** Every text of a message that is sent to the model. */
export function textOf(message: Message | ModelMessage): string {
  const { content } = message;
  const text = typeof content === 'string' ? content : (content ?? []).map(textOfPart).join('');
  const hasToolCalls = message.role === 'assistant' && message.toolCalls !== undefined;
  return hasToolCalls ? text + JSON.stringify(message.toolCalls) : text;
}

/** What a file costs is not known before; its data is far more. */
function textOfPart(part: ContentPart): string {
  if (part.type === 'image') return '';
  return part.type === 'file' ? part.data : part.text;
}
