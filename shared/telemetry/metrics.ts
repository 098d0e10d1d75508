import {
  CALL_SECONDS,
  CHUNK_SECONDS,
  REQUEST_SECONDS,
  STEPS,
  TOKENS,
  type MetricDefinition,
} from './metric-definition.ts';
import { QUEUE_METRICS } from './queue-metrics.ts';

const MODEL = ['gen_ai.operation.name', 'gen_ai.provider.name', 'gen_ai.request.model'] as const;

/**
 * Every metric of the product. Only this file and `queue-metrics.ts` have metric names. They follow the semantic
 * conventions of OpenTelemetry where those define one; the conventions for models are in
 * development and may change. `log-metrics.ts` counts log lines. Rules for a new metric:
 * - the name is lower case with dots, own metrics begin with `agent.`;
 * - a counter's unit is the thing that is counted, in braces and singular;
 * - an attribute has few, snake_case values and never holds a caller, a session or free text;
 * - docs/telemetry.md lists it (a test compares), and infra/queries use its name.
 */
export const METRICS = {
  requestDuration: {
    name: 'http.server.request.duration',
    kind: 'histogram',
    unit: 's',
    help: 'Time from the request to the end of its response, streams included.',
    attributes: ['http.route', 'http.response.status_code', 'agent.stream'],
    buckets: REQUEST_SECONDS,
  },
  requestErrors: {
    name: 'agent.request.errors',
    kind: 'counter',
    unit: '{request}',
    help: 'Requests that ended with an error code, including refused ones.',
    attributes: ['http.route', 'error.type'],
  },
  tokenUsage: {
    name: 'gen_ai.client.token.usage',
    kind: 'histogram',
    unit: '{token}',
    help: 'Tokens of one model call.',
    attributes: [...MODEL, 'gen_ai.token.type'],
    buckets: TOKENS,
  },
  operationDuration: {
    name: 'gen_ai.client.operation.duration',
    kind: 'histogram',
    unit: 's',
    help: 'Duration of one model call; each attempt counts separately.',
    attributes: [...MODEL, 'error.type'],
    buckets: CALL_SECONDS,
  },
  timeToFirstChunk: {
    name: 'gen_ai.client.operation.time_to_first_chunk',
    kind: 'histogram',
    unit: 's',
    help: 'Time to the first chunk of a streamed response.',
    attributes: MODEL,
    buckets: CHUNK_SECONDS,
  },
  timePerOutputChunk: {
    name: 'gen_ai.client.operation.time_per_output_chunk',
    kind: 'histogram',
    unit: 's',
    help: 'Time between two chunks of a streamed response.',
    attributes: MODEL,
    buckets: CHUNK_SECONDS,
  },
  modelCost: {
    name: 'agent.model.cost',
    kind: 'counter',
    unit: '{currency}',
    help: 'Cost of tokens in the currency of the configured prices; absent without prices.',
    attributes: ['gen_ai.request.model'],
  },
  modelRetries: {
    name: 'agent.model.retries',
    kind: 'counter',
    unit: '{call}',
    help: 'Model calls that were retried at the same endpoint.',
    attributes: ['agent.endpoint', 'error.type'],
  },
  modelFailovers: {
    name: 'agent.model.failovers',
    kind: 'counter',
    unit: '{call}',
    help: 'Model calls that failed over to another endpoint.',
    attributes: ['agent.endpoint', 'error.type'],
  },
  modelFailures: {
    name: 'agent.model.failures',
    kind: 'counter',
    unit: '{call}',
    help: 'Model calls that failed after all attempts.',
    attributes: ['agent.endpoint', 'error.type'],
  },
  circuitOpened: {
    name: 'agent.circuit.opened',
    kind: 'counter',
    unit: '{change}',
    help: 'Number of times the circuit of an endpoint opened.',
    attributes: ['agent.endpoint'],
  },
  circuitState: {
    name: 'agent.circuit.state',
    kind: 'gauge',
    unit: '1',
    help: 'Circuit of an endpoint: 0 closed, 0.5 half-open, 1 open.',
    attributes: ['agent.endpoint'],
  },
  cacheRequests: {
    name: 'agent.cache.requests',
    kind: 'observable-counter',
    unit: '{request}',
    help: 'Requests by cache outcome.',
    attributes: ['outcome'],
  },
  cacheSavedTokens: {
    name: 'agent.cache.saved_tokens',
    kind: 'observable-counter',
    unit: '{token}',
    help: 'Tokens of model calls that the cache avoided.',
    attributes: ['gen_ai.token.type'],
  },
  rateLimitDecisions: {
    name: 'agent.rate_limit.decisions',
    kind: 'counter',
    unit: '{request}',
    help: 'Requests by the decision of the rate limiter.',
    attributes: ['outcome'],
  },
  guardrailDecisions: {
    name: 'agent.guardrail.decisions',
    kind: 'counter',
    unit: '{decision}',
    help: 'Decisions of guardrails, each once for a run and stage.',
    attributes: ['guardrail', 'stage', 'outcome'],
  },
  toolDuration: {
    name: 'agent.tool.duration',
    kind: 'histogram',
    unit: 's',
    help: 'Duration of one tool call.',
    attributes: ['gen_ai.tool.name', 'error.type'],
    buckets: CALL_SECONDS,
  },
  runSteps: {
    name: 'agent.run.steps',
    kind: 'histogram',
    unit: '{step}',
    help: 'Model calls of one run, without retries.',
    attributes: [],
    buckets: STEPS,
  },
  ...QUEUE_METRICS,
  secretsFailures: {
    name: 'agent.secrets.failures',
    kind: 'counter',
    unit: '{failure}',
    help: 'Failed reads of the vault, and changes that could not be applied.',
    attributes: [],
  },
  redisFailures: {
    name: 'agent.redis.failures',
    kind: 'counter',
    unit: '{failure}',
    help: 'Failed commands to Redis, at most one per minute and instance.',
    attributes: [],
  },
  telemetryExports: {
    name: 'agent.telemetry.exports',
    kind: 'counter',
    unit: '{export}',
    help: 'Exports to Application Insights by outcome.',
    attributes: ['outcome'],
  },
  eventLoopDelay: {
    name: 'nodejs.eventloop.delay',
    kind: 'gauge',
    unit: 's',
    help: 'Event loop delay since the last collection.',
    attributes: ['quantile'],
  },
  memoryUsage: {
    name: 'process.memory.usage',
    kind: 'gauge',
    unit: 'By',
    help: 'Resident memory of the process.',
    attributes: [],
  },
  memoryUtilization: {
    name: 'process.memory.utilization',
    kind: 'gauge',
    unit: '1',
    help: 'Resident memory as a fraction of the memory of the instance.',
    attributes: [],
  },
  cpuUtilization: {
    name: 'process.cpu.utilization',
    kind: 'gauge',
    unit: '1',
    help: 'CPU time as a fraction of the CPUs of the instance, since the last collection.',
    attributes: [],
  },
  uptime: {
    name: 'process.uptime',
    kind: 'gauge',
    unit: 's',
    help: 'Time since the process started.',
    attributes: [],
  },
  buildInfo: {
    name: 'agent.build.info',
    kind: 'gauge',
    unit: '{build}',
    help: 'Always 1; its attributes identify the running version.',
    attributes: ['version', 'commit', 'node'],
  },
} as const satisfies Record<string, MetricDefinition>;

type Metrics = typeof METRICS;
export type MetricName = keyof Metrics;
type NameOfKind<Kind extends MetricDefinition['kind']> = {
  [Name in MetricName]: Metrics[Name]['kind'] extends Kind ? Name : never;
}[MetricName];

export type CounterName = NameOfKind<'counter'>;
export type HistogramName = NameOfKind<'histogram'>;
export type ObservableName = NameOfKind<'gauge' | 'observable-counter'>;

/** The attributes of one metric. An absent attribute does not apply. */
export type AttributesOf<Name extends MetricName> = {
  readonly [Key in Metrics[Name]['attributes'][number]]?: string | number | boolean | undefined;
};
