import type { Agent, AgentInput } from '../agent/agent.ts';
import { ServiceError } from '../errors.ts';

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
