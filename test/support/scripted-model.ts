import type { AgentInput } from '../../shared/agent/agent.ts';
import type {
  Model,
  ModelResponse,
  ModelCall,
  ModelEvent,
  ModelRequest,
} from '../../shared/model/model.ts';

export type AnswerStep = (request: ModelRequest, call: ModelCall) => Promise<ModelResponse>;
export type StreamStep = (request: ModelRequest, call: ModelCall) => AsyncIterable<ModelEvent>;

export interface ScriptedModel extends Model {
  readonly calls: readonly { readonly request: ModelRequest; readonly call: ModelCall }[];
}

/** A model that plays its steps in order and fails on one call too many. */
export function createScriptedModel(script: {
  readonly answers?: readonly AnswerStep[];
  readonly streams?: readonly StreamStep[];
}): ScriptedModel {
  const answers = [...(script.answers ?? [])];
  const streams = [...(script.streams ?? [])];
  const calls: { request: ModelRequest; call: ModelCall }[] = [];
  return {
    calls,
    async complete(request, call) {
      calls.push({ request, call });
      return take(answers)(request, call);
    },
    stream(request, call) {
      calls.push({ request, call });
      return take(streams)(request, call);
    },
  };
}

/** The input of a run: one message of the user. */
export function inputOf(content: string): AgentInput {
  return { messages: [{ role: 'user', content }] };
}

/** A whole answer with the given text. */
export function answerOf(text: string): ModelResponse {
  return {
    text,
    toolCalls: [],
    finishReason: 'stop',
    usage: { inputTokens: 3, outputTokens: 2, totalTokens: 5 },
    model: 'scripted',
  };
}

/** A response that calls tools: pairs of a name and the arguments, as JSON text or as a value. */
export function callsOf(...calls: readonly (readonly [string, unknown?])[]): ModelResponse {
  return {
    ...answerOf(''),
    finishReason: 'tool_calls',
    toolCalls: calls.map(([name, input = {}], index) => ({
      id: `call_${index}_${name}`,
      name,
      arguments: typeof input === 'string' ? input : JSON.stringify(input),
    })),
  };
}

/** A stream of the texts and then the whole answer. */
export async function* textsThenAnswer(texts: readonly string[]): AsyncGenerator<ModelEvent> {
  for (const text of texts) yield { type: 'text-delta', text };
  yield { type: 'done', response: answerOf(texts.join('')) };
}

/** A stream that fails instead of its next event. */
export async function* failingAfter(
  texts: readonly string[],
  error: unknown,
): AsyncGenerator<ModelEvent> {
  for (const text of texts) yield { type: 'text-delta', text };
  throw error;
}

/** Work that never ends by itself and does not listen to its signal. */
export function never<T>(): Promise<T> {
  return Promise.withResolvers<T>().promise;
}

function take<T>(steps: T[]): T {
  const step = steps.shift();
  if (step === undefined) throw new Error('The model was called more often than planned');
  return step;
}
