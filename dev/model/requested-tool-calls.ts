import { lastUserText, type ChatRequest, type ToolDefinition } from './chat-request.ts';
import { createInstance } from './create-instance.ts';

export interface ToolCall {
  readonly id: string;
  readonly name: string;
  /** JSON text, as the caller wrote it after the tool's name. */
  readonly arguments: string;
}

/** The calls that the user requested by naming tools, in the order of the names. */
export function requestedToolCalls(request: ChatRequest): ToolCall[] {
  const { toolChoice, tools } = request;
  const isAnswered = request.messages.at(-1)?.role === 'tool';
  if (tools.length === 0 || isAnswered) return [];
  const named = 'kind' in toolChoice && toolChoice.kind === 'none' ? [] : namedCalls(request);
  const forced = forcedTool(request);
  const meant = forced ?? (named.length === 0 ? meantTool(request) : undefined);
  const calls = named.length === 0 && meant !== undefined ? [withDefaults(meant)] : named;
  const allowed = request.parallelToolCalls ? calls : calls.slice(0, 1);
  const turn = request.messages.length;
  return allowed.map((call, index) => ({
    id: `call_dev_${turn}_${index}`,
    name: call.name,
    arguments: call.arguments,
  }));
}

/** A call with the smallest arguments that the tool's schema allows. */
export function withDefaults(tool: ToolDefinition): { name: string; arguments: string } {
  return { name: tool.name, arguments: JSON.stringify(defaultArguments(tool.parameters)) };
}

function forcedTool({ toolChoice, tools }: ChatRequest): ToolDefinition | undefined {
  if ('name' in toolChoice) return tools.find((tool) => tool.name === toolChoice.name);
  return toolChoice.kind === 'required' ? tools[0] : undefined;
}

/** A question with all words of a tool's name but `get`, such as "weather", means that tool. */
function meantTool(request: ChatRequest): ToolDefinition | undefined {
  const { toolChoice, tools } = request;
  const text = lastUserText(request);
  if (('kind' in toolChoice && toolChoice.kind === 'none') || !text.includes('?')) return undefined;
  const words = new Set(text.toLowerCase().match(/[a-z]+/g));
  return tools.find(({ name }) => {
    const [verb, ...nouns] = name.toLowerCase().split(/[_-]/);
    return verb === 'get' && nouns.length > 0 && nouns.every((word) => words.has(word));
  });
}

function namedCalls(request: ChatRequest): { name: string; arguments: string }[] {
  const text = lastUserText(request);
  const found = request.tools.flatMap((tool) =>
    positionsOf(tool.name, text).map((position) => ({ tool, position })),
  );
  return found
    .sort((left, right) => left.position - right.position)
    .map(({ tool, position }) => {
      const written = objectAt(text, position + tool.name.length);
      return written === undefined ? withDefaults(tool) : { name: tool.name, arguments: written };
    });
}

function positionsOf(name: string, text: string): number[] {
  const positions: number[] = [];
  for (let at = text.indexOf(name); at >= 0; at = text.indexOf(name, at + name.length)) {
    const around = [text[at - 1] ?? ' ', text[at + name.length] ?? ' '];
    if (!around.some((character) => /[\w-]/.test(character))) positions.push(at);
  }
  return positions;
}

/**
 * The balanced `{...}` after a tool's name. It is not parsed, so invalid JSON reaches the caller
 * too.
 */
function objectAt(text: string, from: number): string | undefined {
  const start = from + (/^[\s:(]*/.exec(text.slice(from, from + 10))?.[0].length ?? 0);
  if (text[start] !== '{') return undefined;
  let depth = 0;
  let isInString = false;
  for (let at = start; at < text.length; at += 1) {
    const character = text[at];
    if (character === '\\' && isInString) at += 1;
    else if (character === '"') isInString = !isInString;
    else if (!isInString && character === '{') depth += 1;
    else if (!isInString && character === '}') depth -= 1;
    if (depth === 0) return text.slice(start, at + 1);
  }
  return undefined;
}

function defaultArguments(parameters: unknown): unknown {
  if (parameters === undefined || parameters === null) return {};
  try {
    return createInstance(parameters);
  } catch {
    return {};
  }
}
