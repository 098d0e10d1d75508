import type { TokenUsage } from '../model/model.ts';
import { toServiceError } from '../errors.ts';
import type { Agent, AgentInput, InputSize, Message, RunContext, RunResult } from './agent.ts';
import { asData } from './tool.ts';

/** A conversation whose oldest messages do not fit any more. */
export interface SummaryTask {
  /** What the summary replaces, oldest first; an earlier summary is the first of them. */
  readonly messages: readonly Message[];
  /** The bound on the summary. */
  readonly maxOutputTokens: number;
  /** Stores the summary, and returns the input of the run with it. */
  accept(text: string): AgentInput;
}

interface SummaryOptions {
  readonly task: SummaryTask;
  /** Writes the summary. */
  readonly writer: Agent;
  readonly measure: (input: AgentInput) => InputSize;
}

/** The longest time of a summary: the client waits for it. */
const MAX_SUMMARY_MS = 20_000;

/**
 * Wraps an agent so that a run begins with a summary of what it cannot read. The summary is a run of
 * the agent, so its guardrails, limits and model apply, and its tokens belong to the run. If it
 * fails, the run goes on without it.
 */
export function createSummarizingAgent(agent: Agent, options: SummaryOptions): Agent {
  return {
    async run(input, context) {
      const summary = await summarize(options, context);
      return withUsage(await agent.run(summary.input ?? input, context), summary.usage);
    },
    async *stream(input, context) {
      const summary = await summarize(options, context);
      for await (const event of agent.stream(summary.input ?? input, context)) {
        if (event.type !== 'done') yield event;
        else yield { type: 'done', result: withUsage(event.result, summary.usage) };
      }
    },
  };
}

interface Summary {
  /** Undefined if there is no summary. */
  readonly input: AgentInput | undefined;
  /** The tokens of the attempt, which are paid in any case. */
  readonly usage: readonly TokenUsage[];
}

async function summarize(
  { task, writer, measure }: SummaryOptions,
  context: RunContext,
): Promise<Summary> {
  const usage: TokenUsage[] = [];
  const { signal, traceparent, telemetry, onPartialUsage, onDecision } = context;
  try {
    const input = toSummaryInput(task);
    await context.reserveStep?.(measure(input));
    const result = await writer.run(input, {
      signal: AbortSignal.any([signal, AbortSignal.timeout(MAX_SUMMARY_MS)]),
      deadlineAt: Math.min(context.deadlineAt, Date.now() + MAX_SUMMARY_MS),
      traceparent,
      telemetry,
      onPartialUsage,
      onDecision,
      onStepEnd(step) {
        usage.push(step);
        context.onStepEnd?.(step);
      },
    });
    if (result.refusal === undefined && result.text.trim() !== '') {
      telemetry.info('history summarized', { messages: task.messages.length });
      return { input: task.accept(result.text), usage };
    }
    telemetry.warn('history not summarized', { code: 'empty' });
  } catch (error) {
    signal.throwIfAborted();
    telemetry.warn('history not summarized', { code: toServiceError(error).code });
  }
  return { input: undefined, usage };
}

function toSummaryInput({ messages, maxOutputTokens }: SummaryTask): AgentInput {
  const transcript = messages.map(describe).join('\n');
  const content = [
    'Write a summary of the beginning of a conversation between a user and you. Keep what you need to continue it: names, numbers, facts, wishes, decisions and open questions. Write the summary alone.',
    asData(transcript, 'that conversation'),
  ].join('\n\n');
  return {
    messages: [{ role: 'user', content }],
    toolChoice: 'none',
    responseFormat: { type: 'text' },
    maxOutputTokens,
  };
}

function describe(message: Message): string {
  const { role, content } = message;
  const text = typeof content === 'string' ? content : '';
  if (message.role !== 'assistant' || message.toolCalls === undefined) return `${role}: ${text}`;
  const names = message.toolCalls.map(({ name }) => name).join(', ');
  return `${role}: ${text} [calls ${names}]`;
}

function withUsage(result: RunResult, steps: readonly TokenUsage[]): RunResult {
  return { ...result, usage: steps.reduce(addUsage, result.usage) };
}

function addUsage(one: TokenUsage, other: TokenUsage): TokenUsage {
  return {
    ...one,
    inputTokens: one.inputTokens + other.inputTokens,
    outputTokens: one.outputTokens + other.outputTokens,
    totalTokens: one.totalTokens + other.totalTokens,
  };
}
