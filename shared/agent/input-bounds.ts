import { ServiceError } from '../errors.ts';
import type { AgentInput, Message } from './agent.ts';

/** The bounds of the conversation that a client may send. */
export interface InputBounds {
  readonly maxMessages: number;
  /** Texts, tool calls and the tools of the client together. */
  readonly maxChars: number;
}

const MAX_IMAGES = 16;
/** About 25,000 tokens; more belongs into a batch. */
const DEFAULT_BOUNDS: InputBounds = { maxMessages: 256, maxChars: 100_000 };
/** Of English text; other languages have fewer, and the endpoint then refuses what this admits. */
const CHARS_PER_TOKEN = 4;
/** More tokens than the shortest messages of a conversation have with their frame. */
const TOKENS_PER_MESSAGE = 500;

export interface BoundSettings {
  readonly contextTokens?: number | undefined;
  readonly maxMessages?: number | undefined;
  readonly maxInputChars?: number | undefined;
}

/** The bounds that are set, or else those that follow the context window of the model. */
export function inputBoundsOf(settings: BoundSettings): InputBounds {
  const { contextTokens, maxMessages, maxInputChars } = settings;
  const followsWindow = contextTokens !== undefined;
  const windowMessages = Math.floor((contextTokens ?? 0) / TOKENS_PER_MESSAGE);
  const windowChars = followsWindow ? contextTokens * CHARS_PER_TOKEN : DEFAULT_BOUNDS.maxChars;
  return {
    maxMessages: maxMessages ?? Math.max(DEFAULT_BOUNDS.maxMessages, windowMessages),
    maxChars: maxInputChars ?? windowChars,
  };
}

/**
 * The messages of an input within the bounds. The oldest messages are dropped if the input permits
 * it; instructions stay, and the results of a call go with it.
 * @throws ServiceError context_too_long
 */
export function fitMessages(
  { messages, tools = [], mayDropMessages = false, fieldNames }: AgentInput,
  bounds: InputBounds = DEFAULT_BOUNDS,
): readonly Message[] {
  const toolChars = tools.length === 0 ? 0 : JSON.stringify(tools).length;
  const kept = [...messages];
  while (!areWithin(kept, { ...bounds, maxChars: bounds.maxChars - toolChars })) {
    if (mayDropMessages && dropOldest(kept)) continue;
    const { maxMessages, maxChars } = bounds;
    throw new ServiceError(
      'context_too_long',
      `Cannot accept the conversation: it must have at most ${maxMessages} messages, ${maxChars} characters and ${MAX_IMAGES} images and files`,
      { param: fieldNames?.messages },
    );
  }
  return kept;
}

function areWithin(messages: readonly Message[], bounds: InputBounds): boolean {
  if (messages.length > bounds.maxMessages) return false;
  const images = messages.reduce((sum, message) => sum + imagesIn(message), 0);
  const chars = messages.reduce((sum, message) => sum + charsIn(message), 0);
  return images <= MAX_IMAGES && chars <= bounds.maxChars;
}

/** False if only instructions and the last message are left. */
function dropOldest(messages: Message[]): boolean {
  const first = messages.findIndex(({ role }) => role !== 'system' && role !== 'developer');
  if (first === -1) return false;
  let next = first + 1;
  while (messages[next]?.role === 'tool') next += 1;
  if (next >= messages.length) return false;
  messages.splice(first, next - first);
  return true;
}

function charsIn(message: Message): number {
  const { content } = message;
  const own =
    typeof content === 'string'
      ? content.length
      : (content ?? []).reduce(
          (sum, part) => sum + (part.type === 'text' ? part.text.length : 0),
          0,
        );
  if (message.role !== 'assistant') return own;
  const { toolCalls = [] } = message;
  return toolCalls.reduce((sum, call) => sum + call.arguments.length, own);
}

function imagesIn({ content }: Message): number {
  return Array.isArray(content) ? content.filter(({ type }) => type !== 'text').length : 0;
}
