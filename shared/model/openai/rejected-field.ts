import type { CallerFields, ModelMessage, ModelParameter, ModelRequest } from '../model.ts';

/** A field of the caller that an endpoint rejected, under the name of the caller's protocol. */
export interface RejectedField {
  readonly param: string;
  /** What is wrong with it, as the rest of a sentence. None of it comes from the endpoint. */
  readonly problem: string;
}

/** What an error body says about the field. Used to classify only: never logged or returned. */
interface Rejection {
  readonly code: string;
  readonly param: string;
  readonly message: string;
}

/** A part of a model request, found by its name on the wire. */
type RequestPart =
  | { readonly kind: 'parameter'; readonly name: ModelParameter }
  | { readonly kind: 'tools' | 'messages'; readonly index: number | undefined };

const PARAMETERS: Readonly<Record<string, ModelParameter>> = {
  max_tokens: 'maxOutputTokens',
  max_completion_tokens: 'maxOutputTokens',
  temperature: 'temperature',
  top_p: 'topP',
  presence_penalty: 'presencePenalty',
  frequency_penalty: 'frequencyPenalty',
  seed: 'seed',
  stop: 'stop',
  reasoning_effort: 'reasoningEffort',
  verbosity: 'verbosity',
  response_format: 'responseFormat',
  tool_choice: 'toolChoice',
  parallel_tool_calls: 'parallelToolCalls',
};

/**
 * The field of the caller that the error is about. Undefined if the error names no field, or one that
 * this service set: an operator must change that.
 */
export function findRejectedField(
  rejection: Rejection,
  request: ModelRequest,
): RejectedField | undefined {
  const { callerFields } = request;
  if (callerFields === undefined) return undefined;
  const part = findPart(rejection, request);
  if (part === undefined) return undefined;
  const isUnknown = isUnknownField(rejection);
  // The endpoint rejects both names of the limit, so no value of the caller would help.
  if (isUnknown && 'name' in part && part.name === 'maxOutputTokens') return undefined;
  const param = nameOf(part, { callerFields, rejection, request });
  if (param === undefined) return undefined;
  return { param, problem: isUnknown ? 'is not supported by the model' : REFUSED };
}

const REFUSED = 'has a value that the model does not support';

function isUnknownField({ code, message }: Rejection): boolean {
  if (code === 'unsupported_parameter' || code === 'unknown_parameter') return true;
  if (code === 'unsupported_value' || code === 'invalid_value') return false;
  return /un(?:supported|known|recognized|expected) (?:request )?(?:parameter|argument|field)|extra inputs? (?:is|are) not permitted/i.test(
    message,
  );
}

function findPart(rejection: Rejection, request: ModelRequest): RequestPart | undefined {
  const { param, message } = rejection;
  const named = param === '' ? undefined : toPart(param);
  if (named !== undefined) return named;
  const tool = /schema for function '([\w-]{1,64})'/i.exec(message)?.[1];
  if (tool !== undefined) return { kind: 'tools', index: indexOfTool(request, tool) };
  for (const [, quoted, plain] of message.matchAll(NAMES)) {
    const part = toPart(quoted ?? plain ?? '');
    if (part !== undefined && part.kind !== 'messages') return part;
  }
  const hasImage = request.messages.some(isWithImage);
  if (hasImage && /\b(?:images?|image_url|vision|multimodal)\b/i.test(message)) {
    return { kind: 'messages', index: request.messages.findLastIndex(isWithImage) };
  }
  return undefined;
}

/** Names in a message: in quotes, or after the word for a field. Compatible servers send no param. */
const NAMES =
  /['"`]([a-z_]{3,40}(?:[.[][\w.[\]]{0,80})?)['"`]|(?:argument supplied|parameter|argument|field):? ([a-z_]{3,40})\b/gi;

/** A path such as `tools[0].function.parameters`, `messages.[1].content` or `body.temperature`. */
function toPart(path: string): RequestPart | undefined {
  const [root = '', second] = path
    .slice(0, 200)
    .split(/[.[\]]+/)
    .filter((segment) => segment !== '' && segment !== 'body');
  if (root === 'tools' || root === 'messages') {
    const index = second !== undefined && /^\d{1,4}$/.test(second) ? Number(second) : undefined;
    return { kind: root, index };
  }
  const name = Object.hasOwn(PARAMETERS, root) ? PARAMETERS[root] : undefined;
  return name === undefined ? undefined : { kind: 'parameter', name };
}

function indexOfTool({ tools = [] }: ModelRequest, name: string): number | undefined {
  const index = tools.findIndex((tool) => tool.name === name);
  return index === -1 ? undefined : index;
}

function isWithImage({ content }: ModelMessage): boolean {
  return Array.isArray(content) && content.some(({ type }) => type === 'image');
}

interface NameContext {
  readonly callerFields: CallerFields;
  readonly rejection: Rejection;
  readonly request: ModelRequest;
}

/** The caller's name for the part; undefined if the part is not the caller's alone. */
function nameOf(
  part: RequestPart,
  { callerFields, rejection, request }: NameContext,
): string | undefined {
  switch (part.kind) {
    case 'parameter': {
      const name = callerFields.parameters[part.name];
      const isSchema = part.name === 'responseFormat' && /\bschema for\b/i.test(rejection.message);
      return (isSchema && name !== undefined ? callerFields.responseSchema : undefined) ?? name;
    }
    case 'messages': {
      if (part.index !== undefined) return callerFields.messages[part.index];
      // After the first step some messages are of this service.
      const isFirstStep = request.messages.length === callerFields.messages.length;
      return isFirstStep ? callerFields.messages.at(-1) : undefined;
    }
    case 'tools':
      return nameOfTool(part.index, callerFields.tools);
  }
}

/** The path of a tool, from the path of its name. */
function nameOfTool(
  index: number | undefined,
  tools: readonly (string | undefined)[],
): string | undefined {
  if (index !== undefined) return tools[index]?.replace(/\.name$/, '');
  const isCallers = tools.length > 0 && tools.every((name) => name !== undefined);
  return isCallers ? 'tools' : undefined;
}
