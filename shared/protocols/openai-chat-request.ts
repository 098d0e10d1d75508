import type { AgentInput, ClientResponseFormat, ClientTool, Message } from '../agent/agent.ts';
import { ServiceError } from '../errors.ts';
import type { ContentPart, ToolChoice } from '../model/model.ts';
import {
  type CompletionsMessage,
  type CompletionsRequest,
  completionsSchema,
} from './openai-chat-schema.ts';
import { parseRequest } from './validation.ts';

const MAX_IMAGES = 16;

/** @throws ServiceError invalid_request naming the field */
export function parseCompletionsRequest(body: unknown): CompletionsRequest {
  const request = parseRequest(completionsSchema, body);
  checkOrder(request.messages);
  checkLast(request.messages);
  checkTools(request);
  const { messages } = request;
  const images = messages.reduce((sum, message) => sum + imagesOf(message), 0);
  if (images > MAX_IMAGES) throw invalidField('messages', `must have at most ${MAX_IMAGES} images`);
  return request;
}

/** Models reject a call without a result and a result without a call; here the field has a name. */
function checkOrder(messages: readonly CompletionsMessage[]): void {
  const open = new Set<string>();
  for (const [index, message] of messages.entries()) {
    const path = `messages.${index}`;
    if (message.role === 'tool') {
      if (!open.delete(message.tool_call_id)) {
        throw invalidField(
          `${path}.tool_call_id`,
          'must be the id of a tool call without a result',
        );
      }
    } else if (open.size > 0) {
      throw invalidField(`${path}.role`, 'must be tool, because a tool call has no result yet');
    }
    if (message.role !== 'assistant') continue;
    const { content, refusal, tool_calls: calls = [] } = message;
    if (content === null && refusal === undefined && calls.length === 0) {
      throw invalidField(`${path}.content`, 'is required without tool calls');
    }
    for (const [position, { id }] of calls.entries()) {
      if (open.has(id)) throw invalidField(`${path}.tool_calls.${position}.id`, 'must be unique');
      open.add(id);
    }
  }
  if (open.size > 0) throw invalidField('messages', 'must end with the result of each tool call');
}

/** An assistant message at the end is the beginning of the answer, which may be empty. */
function checkLast(messages: readonly CompletionsMessage[]): void {
  const last = messages.at(-1);
  if (last === undefined || last.role === 'tool' || last.role === 'assistant') return;
  const { content } = last;
  const isBlank =
    typeof content === 'string'
      ? content.trim() === ''
      : content.every((part) => part.type === 'text' && part.text.trim() === '');
  if (isBlank) throw invalidField(`messages.${messages.length - 1}.content`, 'must not be blank');
}

function checkTools({ tools = [], tool_choice: choice }: CompletionsRequest): void {
  const names = new Set<string>();
  for (const [index, { function: definition }] of tools.entries()) {
    const path = `tools.${index}.function.name`;
    if (names.has(definition.name)) throw invalidField(path, 'must be unique');
    names.add(definition.name);
  }
  if (choice === 'required' && names.size === 0) {
    throw invalidField('tool_choice', 'must not be required without tools');
  }
  if (typeof choice === 'object' && !names.has(choice.function.name)) {
    throw invalidField('tool_choice.function.name', 'must be the name of one of the tools');
  }
}

function imagesOf({ content }: CompletionsMessage): number {
  return Array.isArray(content) ? content.filter(({ type }) => type === 'image_url').length : 0;
}

function invalidField(param: string, expected: string): ServiceError {
  return new ServiceError('invalid_request', `Cannot accept the request: "${param}" ${expected}`, {
    param,
  });
}

export function toAgentInput(request: CompletionsRequest): AgentInput {
  const { stop } = request;
  return {
    messages: request.messages.map(toMessage),
    maxOutputTokens: request.max_completion_tokens ?? request.max_tokens,
    temperature: request.temperature,
    // Clients send the defaults, which some models reject although they change nothing.
    topP: unless(request.top_p, 1),
    frequencyPenalty: unless(request.frequency_penalty, 0),
    presencePenalty: unless(request.presence_penalty, 0),
    seed: request.seed,
    stop: typeof stop === 'string' ? [stop] : stop,
    reasoningEffort: request.reasoning_effort,
    verbosity: request.verbosity,
    responseFormat: toResponseFormat(request.response_format),
    tools: request.tools?.map(toClientTool),
    toolChoice: toToolChoice(request.tool_choice),
    parallelToolCalls: request.parallel_tool_calls,
    fieldNames: {
      ...FIELD_NAMES,
      maxOutputTokens:
        request.max_completion_tokens === undefined ? 'max_tokens' : 'max_completion_tokens',
    },
  };
}

const FIELD_NAMES = {
  messages: 'messages',
  temperature: 'temperature',
  topP: 'top_p',
  frequencyPenalty: 'frequency_penalty',
  presencePenalty: 'presence_penalty',
  seed: 'seed',
  stop: 'stop',
  reasoningEffort: 'reasoning_effort',
  verbosity: 'verbosity',
  responseFormat: 'response_format',
  toolChoice: 'tool_choice',
  parallelToolCalls: 'parallel_tool_calls',
} as const;

function unless(value: number | undefined, neutral: number): number | undefined {
  return value === neutral ? undefined : value;
}

function toMessage(message: CompletionsMessage): Message {
  switch (message.role) {
    case 'system':
    case 'developer':
      return { role: message.role, content: message.content };
    case 'user':
      return { role: 'user', content: toContent(message.content) };
    case 'assistant': {
      const { content, refusal = null, tool_calls: calls = [] } = message;
      const toolCalls = calls.map(({ id, function: { name, arguments: text } }) => ({
        id,
        name,
        arguments: text,
      }));
      const answer = content ?? refusal;
      return { role: 'assistant', content: answer, ...(calls.length === 0 ? {} : { toolCalls }) };
    }
    case 'tool':
      return { role: 'tool', toolCallId: message.tool_call_id, content: message.content };
  }
}

type UserContent = Extract<CompletionsMessage, { role: 'user' }>['content'];

/** Text parts without an image are one text, so that equal requests have equal cache keys. */
function toContent(content: UserContent): string | readonly ContentPart[] {
  if (typeof content === 'string') return content;
  const parts = content.map((part): ContentPart => {
    if (part.type === 'text') return { type: 'text', text: part.text };
    return { type: 'image', url: part.image_url.url, detail: part.image_url.detail };
  });
  const isText = parts.every(({ type }) => type === 'text');
  return isText ? parts.map((part) => (part.type === 'text' ? part.text : '')).join('') : parts;
}

function toResponseFormat(
  format: CompletionsRequest['response_format'],
): ClientResponseFormat | undefined {
  if (format?.type !== 'json_schema') return format;
  const { name, description, schema, strict } = format.json_schema;
  const param = 'response_format.json_schema.schema';
  return { type: 'json_schema', name, description, schema, strict, param };
}

type RequestTool = NonNullable<CompletionsRequest['tools']>[number];

function toClientTool({ function: definition }: RequestTool, index: number): ClientTool {
  const { name, description, parameters, strict } = definition;
  return {
    name,
    description,
    // A function without parameters.
    parameters: parameters ?? { type: 'object', properties: {} },
    strict,
    nameParam: `tools.${index}.function.name`,
  };
}

function toToolChoice(choice: CompletionsRequest['tool_choice']): ToolChoice | undefined {
  return typeof choice === 'object' ? { name: choice.function.name } : choice;
}
