import {
  AGE_SECONDS,
  CALL_SECONDS,
  CHUNK_SECONDS,
  REQUEST_SECONDS,
  TOKENS,
  type MetricDefinition,
} from './metric-definition.ts';

const MODEL = ['gen_ai.operation.name', 'gen_ai.provider.name', 'gen_ai.request.model'] as const;

/**
 * Every metric of the product, in the words of the semantic conventions where they have one. Those
 * for models are still in development and may be renamed: here is the only place to do it.
 */
export const METRICS = {
  requestDuration: {
    name: 'http.server.request.duration',
    kind: 'histogram',
    unit: 's',
    help: 'Time until an answer was given; of a stream, until it ended.',
    attributes: ['http.route', 'http.response.status_code', 'agent.stream'],
    buckets: REQUEST_SECONDS,
  },
  requestErrors: {
    name: 'agent.request.errors',
    kind: 'counter',
    unit: '{request}',
    help: 'Requests that ended with an error code, refusals included.',
    attributes: ['http.route', 'error.type'],
  },
  tokenUsage: {
    name: 'gen_ai.client.token.usage',
    kind: 'histogram',
    unit: '{token}',
    help: 'Tokens of one call to a model.',
    attributes: [...MODEL, 'gen_ai.token.type'],
    buckets: TOKENS,
  },
  operationDuration: {
    name: 'gen_ai.client.operation.duration',
    kind: 'histogram',
    unit: 's',
    help: 'Time of one call to a model, each attempt by itself.',
    attributes: [...MODEL, 'error.type'],
    buckets: CALL_SECONDS,
  },
  timeToFirstChunk: {
    name: 'gen_ai.client.operation.time_to_first_chunk',
    kind: 'histogram',
    unit: 's',
    help: 'Time until the first piece of a streamed answer.',
    attributes: MODEL,
    buckets: CHUNK_SECONDS,
  },
  timePerOutputChunk: {
    name: 'gen_ai.client.operation.time_per_output_chunk',
    kind: 'histogram',
    unit: 's',
    help: 'Time from one piece of a streamed answer to the next.',
    attributes: MODEL,
    buckets: CHUNK_SECONDS,
  },
  modelCost: {
    name: 'agent.model.cost',
    kind: 'counter',
    unit: '{money}',
    help: 'What tokens cost, in the currency of the configured prices; absent without prices.',
    attributes: ['gen_ai.request.model'],
  },
  modelRetries: {
    name: 'agent.model.retries',
    kind: 'counter',
    unit: '{call}',
    help: 'Calls to a model that were made again at the same endpoint.',
    attributes: ['agent.endpoint', 'error.type'],
  },
  modelFailovers: {
    name: 'agent.model.failovers',
    kind: 'counter',
    unit: '{call}',
    help: 'Calls to a model that went on to another endpoint.',
    attributes: ['agent.endpoint', 'error.type'],
  },
  modelFailures: {
    name: 'agent.model.failures',
    kind: 'counter',
    unit: '{call}',
    help: 'Calls to a model that failed after every attempt.',
    attributes: ['agent.endpoint', 'error.type'],
  },
  circuitOpened: {
    name: 'agent.circuit.opened',
    kind: 'counter',
    unit: '{change}',
    help: 'How often the circuit of an endpoint opened.',
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
    kind: 'observed-counter',
    unit: '{request}',
    help: 'Requests by what the cache did for them.',
    attributes: ['outcome'],
  },
  cacheSavedTokens: {
    name: 'agent.cache.saved_tokens',
    kind: 'observed-counter',
    unit: '{token}',
    help: 'Tokens that a model would have been paid for.',
    attributes: ['gen_ai.token.type'],
  },
  limiterVerdicts: {
    name: 'agent.limiter.verdicts',
    kind: 'counter',
    unit: '{request}',
    help: 'Requests by what the limits of their caller said.',
    attributes: ['outcome'],
  },
  guardrailVerdicts: {
    name: 'agent.guardrail.verdicts',
    kind: 'counter',
    unit: '{verdict}',
    help: 'What the guardrails found, and what was done.',
    attributes: ['guardrail', 'outcome'],
  },
  toolDuration: {
    name: 'agent.tool.duration',
    kind: 'histogram',
    unit: 's',
    help: 'Time of one tool call.',
    attributes: ['gen_ai.tool.name', 'error.type'],
    buckets: CALL_SECONDS,
  },
  batchShards: {
    name: 'agent.batch.shards',
    kind: 'counter',
    unit: '{delivery}',
    help: 'Deliveries of parts of a batch, by how they ended, and why where they go on later.',
    attributes: ['outcome', 'reason'],
  },
  batchItems: {
    name: 'agent.batch.items',
    kind: 'counter',
    unit: '{item}',
    help: 'Results of batch items, counted when they are durable.',
    attributes: ['outcome', 'error.type'],
  },
  batchItemDuration: {
    name: 'agent.batch.item.duration',
    kind: 'histogram',
    unit: 's',
    help: 'Time of the try at a batch item that ended it, until its result was durable.',
    attributes: ['outcome'],
    buckets: CALL_SECONDS,
  },
  batchItemFailures: {
    name: 'agent.batch.item.failures',
    kind: 'counter',
    unit: '{try}',
    help: 'Tries at batch items that failed, those that are tried again included.',
    attributes: ['error.type'],
  },
  batchItemThrottled: {
    name: 'agent.batch.item.throttled',
    kind: 'counter',
    unit: '{try}',
    help: 'Tries at batch items that do not count, since the model had no room for anybody.',
    attributes: ['error.type'],
  },
  batchActiveItems: {
    name: 'agent.batch.active_items',
    kind: 'gauge',
    unit: '{item}',
    help: 'Batch items that this process is working on.',
    attributes: [],
  },
  batchPaceLimit: {
    name: 'agent.batch.pace.limit',
    kind: 'gauge',
    unit: '{item}',
    help: 'Batch items that this process may work on at once; 0 while the model is left alone.',
    attributes: [],
  },
  batchPoisoned: {
    name: 'agent.batch.poisoned',
    kind: 'counter',
    unit: '{message}',
    help: 'Messages that the platform gave up, and jobs that we gave up.',
    attributes: [],
  },
  batchMessageAge: {
    name: 'agent.batch.message.age',
    kind: 'histogram',
    unit: 's',
    help: 'How long a message had waited in the queue when its work began.',
    attributes: [],
    buckets: AGE_SECONDS,
  },
  secretsFailures: {
    name: 'agent.secrets.failures',
    kind: 'counter',
    unit: '{failure}',
    help: 'Reads of the vault that failed, and changes that could not be taken over.',
    attributes: [],
  },
  redisFailures: {
    name: 'agent.redis.failures',
    kind: 'counter',
    unit: '{failure}',
    help: 'Times that Redis was found to be away.',
    attributes: [],
  },
  telemetryExports: {
    name: 'agent.telemetry.exports',
    kind: 'counter',
    unit: '{export}',
    help: 'Packages of telemetry sent to Application Insights.',
    attributes: ['signal', 'outcome'],
  },
  eventLoopDelay: {
    name: 'nodejs.eventloop.delay',
    kind: 'gauge',
    unit: 's',
    help: 'How late the event loop was since the last look.',
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
    help: 'Resident memory as a share of what the instance has.',
    attributes: [],
  },
  cpuUtilization: {
    name: 'process.cpu.utilization',
    kind: 'gauge',
    unit: '1',
    help: 'Processor time as a share of what the instance has, since the last look.',
    attributes: [],
  },
  uptime: {
    name: 'process.uptime',
    kind: 'gauge',
    unit: 's',
    help: 'How long the process has run.',
    attributes: [],
  },
  buildInfo: {
    name: 'agent.build.info',
    kind: 'gauge',
    unit: '{build}',
    help: 'Always 1; its attributes say what runs.',
    attributes: ['version', 'node'],
  },
} as const satisfies Record<string, MetricDefinition>;

type Metrics = typeof METRICS;
export type MetricName = keyof Metrics;
type NameOfKind<Kind extends MetricDefinition['kind']> = {
  [Name in MetricName]: Metrics[Name]['kind'] extends Kind ? Name : never;
}[MetricName];

export type CounterName = NameOfKind<'counter'>;
export type HistogramName = NameOfKind<'histogram'>;
export type ObservedName = NameOfKind<'gauge' | 'observed-counter'>;

/** The attributes of one metric; what is absent does not apply. */
export type AttributesOf<Name extends MetricName> = {
  readonly [Key in Metrics[Name]['attributes'][number]]?: string | number | boolean | undefined;
};
