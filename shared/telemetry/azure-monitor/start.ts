import type { TokenCredential } from '@azure/identity';
import {
  ApplicationInsightsSampler,
  AzureMonitorLogExporter,
  AzureMonitorMetricExporter,
  AzureMonitorTraceExporter,
} from '@azure/monitor-opentelemetry-exporter';
import type { Attributes, AttributeValue } from '@opentelemetry/api';
import { resourceFromAttributes } from '@opentelemetry/resources';
import { BatchLogRecordProcessor, LoggerProvider } from '@opentelemetry/sdk-logs';
import { MeterProvider, PeriodicExportingMetricReader } from '@opentelemetry/sdk-metrics';
import {
  BasicTracerProvider,
  BatchSpanProcessor,
  type ReadableSpan,
  type SpanExporter,
} from '@opentelemetry/sdk-trace-base';
import { createLogSink, createSpanTracer, forwardMetrics } from './bridges.ts';
import type { LogSink } from '../create-telemetry.ts';
import type { MetricsRegistry } from '../metrics-registry.ts';
import type { Redact } from '../redact.ts';
import type { Tracer } from '../telemetry.ts';

export interface AzureMonitorOptions {
  readonly connectionString: string;
  /** Where the resource takes no keys: the identity that it knows. */
  readonly credential?: TokenCredential | undefined;
  /** Share of traces that are sent, 0 to 1. Logs and metrics are always whole. */
  readonly samplingRatio: number;
  readonly service: {
    readonly name: string;
    readonly version: string;
    readonly instance: string;
  };
  readonly registry: MetricsRegistry;
  readonly redact: Redact;
  /** Another way to the endpoint, for tests: the product reaches it by https only. */
  readonly transport?: ExportTransport | undefined;
  readonly schedule?: Partial<ExportSchedule> | undefined;
}

/** Where and how telemetry is sent, in the words of the exporter. */
export interface ExportTransport {
  readonly host?: string;
  readonly endpoint?: string;
  readonly allowInsecureConnection?: boolean;
}

export interface ExportSchedule {
  /** Between two packages of spans and logs. */
  readonly intervalMs: number;
  readonly metricsIntervalMs: number;
  /** One package; whatever was not taken by then is dropped. */
  readonly timeoutMs: number;
  /** The whole of the last flush. */
  readonly shutdownMs: number;
}

/** The platform grants 5 s at the end, and the other parts of the service need some of it. */
const EXPORT_SCHEDULE: ExportSchedule = {
  intervalMs: 5_000,
  metricsIntervalMs: 60_000,
  timeoutMs: 8_000,
  shutdownMs: 3_500,
};
/** Spans and log records that wait; more are dropped, so that a dead endpoint costs no memory. */
const MAX_QUEUED = 2_048;
const MAX_PER_EXPORT = 512;

/** Application Insights behind the product's own words. */
export interface AzureMonitor {
  readonly log: LogSink;
  readonly tracer: Tracer;
  /** Sends what waits and ends, within its time. Never rejects. */
  close(): Promise<void>;
}

/** Begins to send telemetry. Nothing that happens to it afterwards reaches a request. */
export function startAzureMonitor(options: AzureMonitorOptions): AzureMonitor {
  const pace = { ...EXPORT_SCHEDULE, ...options.schedule };
  const { registry, redact } = options;
  const exporting = exporterOptions(options, pace);
  const resource = resourceOf(options);
  const queue = {
    scheduledDelayMillis: pace.intervalMs,
    exportTimeoutMillis: pace.timeoutMs,
    maxQueueSize: MAX_QUEUED,
    maxExportBatchSize: MAX_PER_EXPORT,
  };
  const spans = countedExporter(new AzureMonitorTraceExporter(exporting), {
    signal: 'spans',
    registry,
  });
  const traces = new BasicTracerProvider({
    resource,
    sampler: new ApplicationInsightsSampler(options.samplingRatio),
    spanProcessors: [new BatchSpanProcessor(redactingSpanExporter(spans, redact), queue)],
  });
  const records = countedExporter(new AzureMonitorLogExporter(exporting), {
    signal: 'logs',
    registry,
  });
  const logs = new LoggerProvider({
    resource,
    processors: [new BatchLogRecordProcessor({ exporter: records, ...queue })],
  });
  const meters = new MeterProvider({
    resource,
    readers: [
      new PeriodicExportingMetricReader({
        exporter: new AzureMonitorMetricExporter(exporting),
        exportIntervalMillis: Math.max(pace.metricsIntervalMs, pace.timeoutMs),
        exportTimeoutMillis: pace.timeoutMs,
      }),
    ],
  });
  forwardMetrics(registry, meters.getMeter('agent'));
  return {
    log: createLogSink(logs.getLogger('agent'), redact),
    tracer: createSpanTracer(traces.getTracer('agent')),
    async close() {
      const ends = [traces.shutdown(), logs.shutdown(), meters.shutdown()];
      await withTimeout(pace.shutdownMs, Promise.allSettled(ends));
    },
  };
}

function exporterOptions(options: AzureMonitorOptions, { timeoutMs }: ExportSchedule) {
  const { connectionString, credential, transport } = options;
  return {
    connectionString,
    ...(credential === undefined ? {} : { credential }),
    // Lost is lost: telemetry that waits on disk or for a second try has no bound that we set.
    disableOfflineStorage: true,
    retryOptions: { maxRetries: 0 },
    additionalPolicies: [{ policy: timeoutPolicy(timeoutMs), position: 'perCall' as const }],
    ...transport,
  };
}

/** Without it a server that takes the data and never answers would hold the socket for ever. */
function timeoutPolicy(timeoutMs: number) {
  return {
    name: 'giveUpAfter',
    sendRequest<Request extends { timeout: number }, Answer>(
      request: Request,
      next: (request: Request) => Promise<Answer>,
    ): Promise<Answer> {
      request.timeout = timeoutMs;
      return next(request);
    },
  };
}

function resourceOf({ service }: AzureMonitorOptions) {
  return resourceFromAttributes({
    'service.name': service.name,
    'service.version': service.version,
    'service.instance.id': service.instance,
  });
}

async function withTimeout(timeoutMs: number, work: Promise<unknown>): Promise<void> {
  const late = Promise.withResolvers<void>();
  const timer = setTimeout(late.resolve, timeoutMs);
  try {
    await Promise.race([work, late.promise]);
  } finally {
    clearTimeout(timer);
  }
}

interface Exporter<Item> {
  export(items: Item, done: (result: { code: number; error?: Error }) => void): void;
}

const SUCCESS = 0;

/** Counts how packages fared. The exporter's own errors are told by nobody else. */
export function countedExporter<Item, Inner extends Exporter<Item>>(
  inner: Inner & Exporter<Item>,
  { signal, registry }: { readonly signal: string; readonly registry: MetricsRegistry },
): Inner {
  const send = inner.export.bind(inner);
  inner.export = (items, done) => {
    send(items, (result) => {
      const outcome = result.code === SUCCESS ? 'sent' : 'dropped';
      registry.count('telemetryExports', 1, { signal, outcome });
      done(result);
    });
  };
  return inner;
}

/** Addresses and search strings may hold what a caller wrote or a key; none of them is needed. */
const DROPPED: ReadonlySet<string> = new Set([
  'network.peer.address',
  'network.peer.port',
  'url.query',
  'user_agent.original',
]);

/** Addresses of our own settings; digits in them are nobody's number. */
const CONFIGURED: ReadonlySet<string> = new Set(['server.address', 'url.full', 'url.path']);

/**
 * What leaves the process of a span: facts, without the messages of errors. Libraries note those
 * as events and in the status, and they may hold anything.
 */
export function redactingSpanExporter(inner: SpanExporter, redact: Redact): SpanExporter {
  return {
    export: (spans, done) =>
      inner.export(
        spans.map((span) => redactSpan(span, redact)),
        done,
      ),
    shutdown: () => inner.shutdown(),
    forceFlush: async () => inner.forceFlush?.(),
  };
}

function redactSpan(span: ReadableSpan, redact: Redact): ReadableSpan {
  const attributes: Attributes = {};
  for (const [name, value] of Object.entries(span.attributes)) {
    if (CONFIGURED.has(name)) attributes[name] = String(value).replace(/[?#].*/s, '');
    else if (!DROPPED.has(name)) attributes[name] = redactValue(value, redact);
  }
  return Object.create(span, {
    name: { value: redact(span.name) },
    attributes: { value: attributes },
    events: { value: [] },
    status: { value: { code: span.status.code } },
  }) as ReadableSpan;
}

function redactValue(
  value: AttributeValue | undefined,
  redact: Redact,
): AttributeValue | undefined {
  if (typeof value === 'string') return redact(value);
  if (!Array.isArray(value)) return value;
  return value.map((one) => (typeof one === 'string' ? redact(one) : String(one)));
}
