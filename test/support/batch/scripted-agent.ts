import type { Agent, RunResult } from '../../../shared/agent/agent.ts';

/** What the agent does with a message: returns the text of its answer, or throws. */
export type Script = (turn: {
  readonly message: string;
  /** 1 for the first call with this message. */
  readonly call: number;
  readonly signal: AbortSignal;
}) => string | Promise<string>;

export interface ScriptedAgent extends Agent {
  /** The messages that it received, in order. */
  readonly asked: readonly string[];
  /** Most calls that ran at the same time. */
  readonly mostAtOnce: () => number;
}

/** An agent that follows a script and keeps count. */
export function createScriptedAgent(
  script: Script = ({ message }) => `re: ${message}`,
  tokensPerItem = 2,
): ScriptedAgent {
  const asked: string[] = [];
  let running = 0;
  let most = 0;
  return {
    asked,
    mostAtOnce: () => most,
    async run({ messages }, { signal, onStepEnd }) {
      const content = messages.at(-1)?.content;
      const message = typeof content === 'string' ? content : '';
      asked.push(message);
      running += 1;
      most = Math.max(most, running);
      try {
        const call = asked.filter((earlier) => earlier === message).length;
        const result = resultOf(await script({ message, call, signal }), tokensPerItem);
        onStepEnd?.(result.usage);
        return result;
      } finally {
        running -= 1;
      }
    },
    stream() {
      throw new TypeError('A batch never streams');
    },
  };
}

function resultOf(text: string, totalTokens: number): RunResult {
  return {
    text,
    model: 'scripted',
    finishReason: 'stop',
    cached: false,
    usage: { inputTokens: 1, outputTokens: totalTokens - 1, totalTokens },
    toolCalls: [],
  };
}

/** Never answers; ends when the signal aborts, as an honest agent does. */
export function untilAborted(signal: AbortSignal): Promise<never> {
  return new Promise((_resolve, reject) => {
    if (signal.aborted) reject(signal.reason);
    signal.addEventListener('abort', () => reject(signal.reason), { once: true });
  });
}
