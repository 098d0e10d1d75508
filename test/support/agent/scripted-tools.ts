import * as z from 'zod';
import type { AgentEvent, ClientTool, RunContext } from '../../../shared/agent/agent.ts';
import { createAgent } from '../../../shared/agent/run-loop.ts';
import { DEFAULT_RUN_LIMITS, type RunLimits } from '../../../shared/agent/run-state.ts';
import { defineTool, type Tool, type ToolContext } from '../../../shared/agent/tool.ts';
import type { ModelMessage, ModelRequest, ModelResponse } from '../../../shared/model/model.ts';
import { createRecordedTelemetry } from '../recorded-telemetry.ts';
import { createScriptedModel } from '../scripted-model.ts';

interface ScriptedTool {
  readonly effect?: Tool['effect'];
  readonly dataFrom?: string;
  readonly timeoutMs?: number;
  readonly run?: (word: string, context: ToolContext) => string | Promise<string>;
}

/** A tool with one parameter, `word`. Without `run` it echoes the word. */
export function toolNamed(name: string, options: ScriptedTool = {}): Tool {
  const { effect = 'none', dataFrom, timeoutMs, run = (word) => `${name}: ${word}` } = options;
  return defineTool({
    name,
    description: `The tool ${name}`,
    parameters: z.strictObject({ word: z.string().default('nothing') }),
    effect,
    dataFrom,
    timeoutMs,
    run: ({ word }, context) => run(word, context),
  });
}

/** A function of the client. */
export function clientTool(name: string): ClientTool {
  const nameParam = 'tools.0.function.name';
  return { name, parameters: { type: 'object', properties: {} }, nameParam };
}

interface AgentScript {
  readonly responses: readonly (
    | ModelResponse
    | ((request: ModelRequest) => Promise<ModelResponse>)
  )[];
  readonly tools?: readonly Tool[];
  readonly limits?: Partial<RunLimits>;
}

/** An agent on a model that gives the responses in order, both as whole answers and as streams. */
export function createToolAgent({ responses, tools = [], limits = {} }: AgentScript) {
  const steps = responses.map((response) => {
    return typeof response === 'function' ? response : async () => response;
  });
  const model = createScriptedModel({
    answers: steps,
    streams: steps.map(
      (step) =>
        async function* (request) {
          const response = await step(request);
          if (response.text !== '') yield { type: 'text-delta', text: response.text };
          yield { type: 'done', response };
        },
    ),
  });
  const agent = createAgent({
    model,
    instructions: 'x',
    tools: () => tools,
    limits: { ...DEFAULT_RUN_LIMITS, ...limits },
  });
  return { agent, model };
}

export function runContext(options: Partial<RunContext> = {}): RunContext {
  return {
    signal: new AbortController().signal,
    deadlineAt: 1,
    traceparent: 't1',
    telemetry: createRecordedTelemetry(),
    ...options,
  };
}

export async function collectEvents(events: AsyncIterable<AgentEvent>): Promise<AgentEvent[]> {
  const all: AgentEvent[] = [];
  for await (const event of events) all.push(event);
  return all;
}

/** The contents of the tool messages in a request. */
export function toolResults(messages: readonly ModelMessage[] = []): readonly unknown[] {
  return messages.filter(({ role }) => role === 'tool').map(({ content }) => content);
}
