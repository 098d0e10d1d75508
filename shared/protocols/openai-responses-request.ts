import * as z from 'zod';
import type { AgentInput, ClientTool, Message } from '../agent/agent.ts';
import { ServiceError } from '../errors.ts';
import type { ToolChoice } from '../model/model.ts';
import {
  checkCalls,
  invalidInput,
  type Item,
  type ItemPlace,
  newId,
  toItem,
  toMessages,
} from './openai-responses-items.ts';
import {
  type ResponsesParams,
  responsesSchema,
  storedItemSchema,
} from './openai-responses-schema.ts';
import { parseRequest } from './validation.ts';

/** A request with the stored items that it refers to. */
export interface ResponsesRequest {
  /** The id of the response. */
  readonly id: string;
  readonly params: ResponsesParams;
  /** The items of the request itself. */
  readonly input: readonly Item[];
  /** The stored items before them; undefined until they are loaded. */
  readonly context: readonly Item[] | undefined;
  /** Whether the response is stored. */
  readonly isStored: boolean;
}

/**
 * Parses a request. What refers to stored items has to be completed by `withStoredItems`.
 * @throws ServiceError invalid_request naming the field
 */
export function parseResponsesRequest(body: unknown): ResponsesRequest {
  const params = parseRequest(responsesSchema, body);
  checkTools(params);
  checkState(params);
  const { input = [] } = params;
  const refersToStore = isStateful(params);
  if (input.length === 0 && !refersToStore) throw invalidInput('is required');
  const id = newId('resp');
  const items = refersToStore
    ? []
    : input.flatMap((item, index) => toItem(item, placeOf(id, index)) ?? []);
  const request = { id, params, input: items, context: [], isStored: false };
  if (refersToStore) return { ...request, context: undefined };
  checkItems(items);
  return request;
}

function placeOf(responseId: string, index: number): ItemPlace {
  return { responseId, kind: 'input', index };
}

export interface StoredItems {
  /** The items before the input. */
  readonly context: readonly Item[];
  /** The stored items that the input names by their ids. */
  readonly referenced: ReadonlyMap<string, Item>;
}

/** @throws ServiceError invalid_request if the items do not fit together */
export function withStoredItems(
  request: ResponsesRequest,
  { context, referenced }: StoredItems,
): ResponsesRequest {
  const { input = [] } = request.params;
  const items = input.map((item, index) => {
    const found =
      toItem(item, placeOf(request.id, index)) ??
      (item.id === undefined ? undefined : referenced.get(item.id));
    if (found === undefined) throw invalidField(`input.${index}.id`, 'must be the id of an item');
    return found;
  });
  checkItems([...context, ...items]);
  return { ...request, input: items, context };
}

/** The items of a request have their ids, so they are stored as they are. */
export function responsesRequestToJson(request: ResponsesRequest): unknown {
  const { id, params, input, context, isStored } = request;
  return { id, params, input, context, isStored };
}

const storedSchema = z.object({
  id: z.string(),
  params: responsesSchema,
  input: z.array(storedItemSchema),
  context: z.array(storedItemSchema).optional(),
  isStored: z.boolean(),
});

export function responsesRequestFromJson(value: unknown): ResponsesRequest {
  const { context, ...request } = storedSchema.parse(value);
  return { ...request, context };
}

/** Whether the request continues something stored, or names stored items. */
function isStateful({ previous_response_id, conversation, input = [] }: ResponsesParams): boolean {
  return (
    previous_response_id !== undefined ||
    conversation !== undefined ||
    input.some(({ type }) => type === 'item_reference')
  );
}

/** The ids of the stored items that the input names. */
export function referencesOf({ params: { input = [] } }: ResponsesRequest): readonly string[] {
  return input.flatMap((item) => (item.type === 'item_reference' ? [item.id] : []));
}

function checkState({ previous_response_id, conversation, background, store }: ResponsesParams) {
  if (previous_response_id !== undefined && conversation !== undefined) {
    throw invalidField('previous_response_id', 'must not be set together with conversation');
  }
  if (background === true && store === false) {
    throw invalidField('background', 'must not be true without store');
  }
}

function checkItems(items: readonly Item[]): void {
  checkCalls(items);
  const hasContent = items.some(
    (item) =>
      item.type === 'function_call_output' ||
      (item.type === 'message' &&
        item.content.some((part) => !('text' in part) || part.text.trim() !== '')),
  );
  if (!hasContent) throw invalidInput('must not be blank');
}

function checkTools({ tools = [], tool_choice: choice }: ResponsesParams): void {
  const names = new Set<string>();
  for (const [index, { name }] of tools.entries()) {
    if (names.has(name)) throw invalidField(`tools.${index}.name`, 'must be unique');
    names.add(name);
  }
  if (choice === 'required' && names.size === 0) {
    throw invalidField('tool_choice', 'must not be required without tools');
  }
  if (typeof choice !== 'object') return;
  if (choice.type === 'function') {
    if (names.has(choice.name)) return;
    throw invalidField('tool_choice.name', 'must be the name of one of the tools');
  }
  const unknown = choice.tools.findIndex(({ name }) => !names.has(name));
  if (unknown === -1) return;
  throw invalidField(`tool_choice.tools.${unknown}.name`, 'must be the name of one of the tools');
}

function invalidField(param: string, expected: string): ServiceError {
  const message = `Cannot accept the request: "${param}" ${expected}`;
  return new ServiceError('invalid_request', message, { param });
}

/** @throws ServiceError invalid_request */
export function toAgentInput(request: ResponsesRequest): AgentInput {
  const { params, input, context, isStored } = request;
  if (context === undefined) throw notStored(params);
  // The item of a batch, which is in the background anyway.
  if (params.background === true && !isStored)
    throw invalidField('background', 'must be false here');
  const tools = allowedTools(params);
  const messages = [...toInstructions(params), ...toMessages([...context, ...input])];
  return {
    messages,
    mayDropMessages: params.truncation === 'auto',
    fieldNames: FIELD_NAMES,
    maxOutputTokens: params.max_output_tokens,
    temperature: params.temperature,
    // Clients send the defaults, which some models reject although they change nothing.
    topP: unless(params.top_p, 1),
    frequencyPenalty: unless(params.frequency_penalty, 0),
    presencePenalty: unless(params.presence_penalty, 0),
    reasoningEffort: params.reasoning?.effort,
    verbosity: params.text?.verbosity,
    responseFormat: toResponseFormat(params),
    tools,
    toolChoice: toToolChoice(params.tool_choice),
    parallelToolCalls: params.parallel_tool_calls,
    maxOwnToolCalls: params.max_tool_calls,
  };
}

const FIELD_NAMES = {
  messages: 'input',
  maxOutputTokens: 'max_output_tokens',
  temperature: 'temperature',
  topP: 'top_p',
  frequencyPenalty: 'frequency_penalty',
  presencePenalty: 'presence_penalty',
  reasoningEffort: 'reasoning.effort',
  verbosity: 'text.verbosity',
  responseFormat: 'text.format',
  toolChoice: 'tool_choice',
  parallelToolCalls: 'parallel_tool_calls',
} as const;

/** Nothing is stored where items of a batch run. */
function notStored({ previous_response_id, conversation }: ResponsesParams): ServiceError {
  if (previous_response_id !== undefined) return invalidField('previous_response_id', NO_STORE);
  return invalidField(conversation === undefined ? 'input' : 'conversation', NO_STORE);
}

const NO_STORE = 'must not refer to something stored here';

function unless(value: number | undefined, neutral: number): number | undefined {
  return value === neutral ? undefined : value;
}

function toInstructions({ instructions }: ResponsesParams): Message[] {
  return instructions === undefined ? [] : [{ role: 'developer', content: instructions }];
}

function toResponseFormat({ text }: ResponsesParams): AgentInput['responseFormat'] {
  const format = text?.format;
  if (format?.type !== 'json_schema') return format;
  const { name, description, schema, strict } = format;
  return { type: 'json_schema', name, description, schema, strict, param: 'text.format.schema' };
}

/** The model gets the allowed tools only. */
function allowedTools({ tools = [], tool_choice: choice }: ResponsesParams): ClientTool[] {
  const clientTools = tools.map(({ name, description, parameters, strict }, index) => ({
    name,
    description,
    // A function without parameters.
    parameters: parameters ?? { type: 'object', properties: {} },
    strict,
    nameParam: `tools.${index}.name`,
  }));
  if (typeof choice !== 'object' || choice.type !== 'allowed_tools') return clientTools;
  const allowed = new Set(choice.tools.map(({ name }) => name));
  return clientTools.filter(({ name }) => allowed.has(name));
}

function toToolChoice(choice: ResponsesParams['tool_choice']): ToolChoice | undefined {
  if (typeof choice !== 'object') return choice;
  return choice.type === 'function' ? { name: choice.name } : choice.mode;
}
