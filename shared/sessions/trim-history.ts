import type { Agent, AgentInput, Message } from '../agent/agent.ts';
import { ServiceError } from '../errors.ts';

export interface TrimOptions {
  /** The tokens that the messages may have. */
  readonly maxTokens: number;
  readonly estimate: (message: Message) => number;
}

export interface TrimmedHistory {
  /** What is left, oldest first. */
  readonly messages: readonly Message[];
  /** What was left out, oldest first. */
  readonly dropped: readonly Message[];
}

/** Messages that stay or go together: a message, or tool calls with their results. */
interface Unit {
  readonly messages: readonly Message[];
  readonly tokens: number;
  readonly isTools: boolean;
}

/**
 * Leaves messages out until the rest fits: the oldest tool calls with their results first, then the
 * oldest messages. A call and its result are never separated, and the rest begins with a user
 * message, because some endpoints require it.
 */
export function trimHistory(
  messages: readonly Message[],
  { maxTokens, estimate }: TrimOptions,
): TrimmedHistory {
  const units = toUnits(messages, estimate);
  let total = units.reduce((sum, { tokens }) => sum + tokens, 0);
  const kept = new Set(units);
  function drop(unit: Unit): void {
    kept.delete(unit);
    total -= unit.tokens;
  }
  for (const unit of units) if (total > maxTokens && unit.isTools) drop(unit);
  for (const unit of units) if (total > maxTokens && kept.has(unit)) drop(unit);
  for (const unit of units) {
    if (!kept.has(unit)) continue;
    if (unit.messages[0]?.role === 'user') break;
    drop(unit);
  }
  const messagesOf = (isKept: boolean) =>
    units.filter((unit) => kept.has(unit) === isKept).flatMap((unit) => unit.messages);
  return { messages: messagesOf(true), dropped: messagesOf(false) };
}

/** The newest messages that fit, without a gap, from a message of the user on. */
export function newestOf(
  messages: readonly Message[],
  { maxTokens, estimate }: TrimOptions,
): readonly Message[] {
  const units = toUnits(messages, estimate);
  let total = 0;
  let start = units.length;
  for (const [index, unit] of [...units.entries()].toReversed()) {
    total += unit.tokens;
    if (total > maxTokens) break;
    if (unit.messages[0]?.role === 'user') start = index;
  }
  return units.slice(start).flatMap((unit) => unit.messages);
}

/** About half of the messages, by their tokens. */
export function halfOf(messages: readonly Message[], options: TrimOptions): readonly Message[] {
  const tokens = messages.reduce((sum, message) => sum + options.estimate(message), 0);
  return trimHistory(messages, { ...options, maxTokens: Math.floor(tokens / 2) }).messages;
}

function toUnits(messages: readonly Message[], estimate: TrimOptions['estimate']): Unit[] {
  const groups: Message[][] = [];
  for (const message of messages) {
    const last = groups.at(-1);
    if (message.role === 'tool' && last !== undefined) last.push(message);
    else groups.push([message]);
  }
  return groups.map((group) => ({
    messages: group,
    tokens: group.reduce((sum, message) => sum + estimate(message), 0),
    isTools: group.length > 1,
  }));
}

/** The same input with half of its history; undefined if there is none to leave out. */
export type ShortenInput = () => AgentInput | undefined;

/**
 * Wraps an agent so that a run that is too long for the model is repeated once with less history. A
 * run that has sent something is not repeated.
 */
export function withShorterHistory(agent: Agent, shorten: ShortenInput): Agent {
  /** @throws the error if a shorter history cannot help */
  function shorterAfter(error: unknown): AgentInput {
    const isTooLong = error instanceof ServiceError && error.code === 'context_too_long';
    const shorter = isTooLong ? shorten() : undefined;
    if (shorter === undefined) throw error;
    return shorter;
  }
  return {
    async run(input, context) {
      try {
        return await agent.run(input, context);
      } catch (error) {
        return agent.run(shorterAfter(error), context);
      }
    },
    async *stream(input, context) {
      let hasStarted = false;
      let shorter: AgentInput;
      try {
        for await (const event of agent.stream(input, context)) {
          hasStarted = true;
          yield event;
        }
        return;
      } catch (error) {
        if (hasStarted) throw error;
        shorter = shorterAfter(error);
      }
      yield* agent.stream(shorter, context);
    },
  };
}
