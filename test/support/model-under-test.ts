import { systemClock } from '../../shared/clock.ts';
import { ServiceError } from '../../shared/errors.ts';
import { createHttpClient } from '../../shared/model/http-client.ts';
import type {
  ModelCall,
  ModelEndpoint,
  ModelEvent,
  ModelRequest,
  ModelResponse,
} from '../../shared/model/model.ts';
import {
  createResilientModel,
  DEFAULT_RESILIENCE,
  type ResilienceSettings,
  type ResilientModel,
  type ResilientModelOptions,
} from '../../shared/model/resilient-model.ts';
import { noopTracer, noopMeter } from '../../shared/telemetry/create-telemetry.ts';
import type { LogFields, Telemetry } from '../../shared/telemetry/telemetry.ts';

export const QUESTION: ModelRequest = { messages: [{ role: 'user', content: 'Hello' }] };
export const QUESTION_WITH_TOOL: ModelRequest = {
  ...QUESTION,
  tools: [{ name: 'now', description: 'The time', parameters: { type: 'object' } }],
};
export const SECRET = 'sk-canary-secret';
export const DEPLOYMENT = 'canary-deployment';

/** One line of the log. */
export interface LoggedLine {
  readonly level: 'debug' | 'info' | 'warn' | 'error';
  readonly message: string;
  readonly fields: LogFields;
}

export interface ModelUnderTest {
  readonly model: ResilientModel;
  readonly lines: readonly LoggedLine[];
  /** How often something was logged. */
  readonly count: (message: string) => number;
  readonly call: (parts?: Partial<ModelCall>) => ModelCall;
  readonly complete: (parts?: Partial<ModelCall>) => Promise<ModelResponse>;
  /** Reads a stream to its end, whatever the end is. */
  readonly stream: (parts?: Partial<ModelCall>, request?: ModelRequest) => Promise<StreamOutcome>;
}

export interface StreamOutcome {
  readonly text: string;
  readonly answer: ModelResponse | undefined;
  readonly error: unknown;
}

export interface ModelUnderTestOptions extends Partial<
  Omit<ResilientModelOptions, 'endpoints' | 'settings'>
> {
  readonly endpoints: readonly (string | Partial<ModelEndpoint>)[];
  readonly settings?: Partial<ResilienceSettings>;
}

/** The real model with short times, over real sockets. */
export function createModelUnderTest(options: ModelUnderTestOptions): ModelUnderTest {
  const lines: LoggedLine[] = [];
  const telemetry = recordingTelemetry(lines, {});
  const model = createResilientModel({
    clock: systemClock,
    random: Math.random,
    telemetry,
    httpClient: createHttpClient(),
    ...options,
    endpoints: options.endpoints.map(toEndpoint),
    settings: {
      ...DEFAULT_RESILIENCE,
      attemptTimeoutMs: 5_000,
      firstTokenTimeoutMs: 5_000,
      idleTimeoutMs: 5_000,
      backoffInitialMs: 10,
      backoffMaxMs: 40,
      ...options.settings,
    },
  });
  function call(parts: Partial<ModelCall> = {}): ModelCall {
    return {
      signal: AbortSignal.timeout(15_000),
      telemetry,
      deadlineAt: Date.now() + 15_000,
      ...parts,
    };
  }
  return {
    model,
    lines,
    count: (message) => lines.filter((line) => line.message === message).length,
    call,
    complete: (parts) => model.complete(QUESTION, call(parts)),
    stream: (parts, request = QUESTION) => readAll(model.stream(request, call(parts))),
  };
}

/** The failure of a call that must fail with one of ours. */
export async function failureOf(work: Promise<unknown>): Promise<ServiceError> {
  try {
    await work;
  } catch (thrown) {
    if (thrown instanceof ServiceError) return thrown;
    throw thrown;
  }
  throw new Error('The call succeeded where it had to fail');
}

async function readAll(events: AsyncIterable<ModelEvent>): Promise<StreamOutcome> {
  let text = '';
  let answer: ModelResponse | undefined;
  try {
    for await (const event of events) {
      if (event.type === 'text-delta') text += event.text;
      else answer = event.response;
    }
  } catch (error) {
    return { text, answer, error };
  }
  return { text, answer, error: undefined };
}

function toEndpoint(given: string | Partial<ModelEndpoint>, index: number): ModelEndpoint {
  return {
    name: index === 0 ? 'primary' : `fallback-${index}`,
    kind: 'openai',
    baseUrl: 'http://127.0.0.1:1/v1',
    model: DEPLOYMENT,
    apiKey: async () => SECRET,
    ...(typeof given === 'string' ? { baseUrl: given } : given),
  };
}

function recordingTelemetry(lines: LoggedLine[], bound: LogFields): Telemetry {
  const at =
    (level: LoggedLine['level']) =>
    (message: string, fields: LogFields = {}) =>
      lines.push({ level, message, fields: { ...bound, ...fields } });
  return {
    ...noopMeter,
    ...noopTracer,
    debug: at('debug'),
    info: at('info'),
    warn: at('warn'),
    error: at('error'),
    audit: () => undefined,
    with: (fields) => recordingTelemetry(lines, { ...bound, ...fields }),
  };
}
