import type { TokenCredential } from '@azure/identity';
import { setLogLevel } from '@azure/logger';
import { type Attributes, type AttributeValue, metrics, trace } from '@opentelemetry/api';
import { logs } from '@opentelemetry/api-logs';
import { resourceFromAttributes } from '@opentelemetry/resources';
import type { ReadableSpan, Span, SpanProcessor } from '@opentelemetry/sdk-trace-base';
import { shutdownAzureMonitor, useAzureMonitor } from 'applicationinsights';
import { createLogSink, createSpanTracer, forwardMetrics } from './bridges.ts';
import type { LogSink, Redact } from '../create-telemetry.ts';
import type { MetricsRegistry } from '../metrics-registry.ts';
import type { Tracer } from '../telemetry.ts';

interface AzureMonitorOptions {
  readonly connectionString: string;
  /** For a resource that does not accept keys. */
  readonly credential?: TokenCredential | undefined;
  /** Ratio of traces that are exported, 0 to 1. Logs and metrics are always exported. */
  readonly samplingRatio: number;
  /** Streams live metrics, which costs one request per second while the portal shows them. */
  readonly liveMetrics: boolean;
  readonly service: {
    readonly name: string;
    readonly version: string;
    readonly instance: string;
  };
  readonly registry: MetricsRegistry;
  readonly redact: Redact;
  /** Another endpoint, for tests: the product exports over HTTPS only. */
  readonly transport?: ExportTransport | undefined;
  readonly timeouts?: ExportTimeouts | undefined;
}

/** The endpoint of the exporter, by its own option names. */
export interface ExportTransport {
  readonly host?: string;
  readonly endpoint?: string;
  readonly allowInsecureConnection?: boolean;
}

interface ExportTimeouts {
  /** Time limit of one export; a batch that was not accepted by then is dropped. */
  readonly exportMs: number;
  /** Time limit of the last flush. */
  readonly shutdownMs: number;
}

/** The platform grants 5 s at shutdown, and other parts of the service need some of it. */
const EXPORT_TIMEOUTS: ExportTimeouts = { exportMs: 8_000, shutdownMs: 3_500 };

/** Application Insights behind the interfaces of this product. */
export interface AzureMonitor {
  readonly log: LogSink;
  readonly tracer: Tracer;
  /** Exports what is buffered and stops, within its time limit. Never rejects. */
  close(): Promise<void>;
}

const OFF = { enabled: false } as const;

/** The product creates its spans itself, and instrumentations cannot patch modules in a bundle. */
const NO_INSTRUMENTATIONS = {
  azureSdk: OFF,
  bunyan: OFF,
  console: OFF,
  http: OFF,
  mongoDb: OFF,
  mySql: OFF,
  postgreSql: OFF,
  redis: OFF,
  redis4: OFF,
  winston: OFF,
} as const;

/**
 * Starts to export telemetry. Failures after the start never reach a request. The package has
 * global state: a second start replaces the first.
 * @throws Error for an invalid connection string
 */
export function startAzureMonitor(options: AzureMonitorOptions): AzureMonitor {
  const { registry, redact, timeouts = EXPORT_TIMEOUTS } = options;
  useAzureMonitor({
    azureMonitorExporterOptions: exporterOptions(options, timeouts),
    resource: resourceOf(options),
    samplingRatio: options.samplingRatio,
    // 0 selects the ratio; the default is a limit of 5 traces per second.
    tracesPerSecond: 0,
    enableLiveMetrics: options.liveMetrics,
    enableStandardMetrics: true,
    enablePerformanceCounters: true,
    // They contain messages of errors, which may contain anything.
    enableAutoCollectExceptions: false,
    instrumentationOptions: NO_INSTRUMENTATIONS,
    spanProcessors: [createRedactingSpanProcessor(redact)],
  });
  // The package enables warnings of all Azure clients on the console, past our redaction.
  setLogLevel();
  forwardMetrics(registry, metrics.getMeter('agent'));
  return {
    log: createLogSink(logs.getLogger('agent'), redact),
    tracer: createSpanTracer(trace.getTracer('agent')),
    close: () => waitAtMost(shutdownAzureMonitor(), timeouts.shutdownMs),
  };
}

function exporterOptions(options: AzureMonitorOptions, { exportMs }: ExportTimeouts) {
  const { connectionString, credential, transport, registry } = options;
  return {
    connectionString,
    ...(credential === undefined ? {} : { credential }),
    // Dropped data stays dropped: a buffer on disk and retries would have no bound.
    disableOfflineStorage: true,
    retryOptions: { maxRetries: 0 },
    additionalPolicies: [
      { policy: exportPolicy(registry, exportMs), position: 'perCall' as const },
    ],
    ...transport,
  };
}

const ACCEPTED = 200;
/** The exporter follows these two itself and sends the batch again. */
const REDIRECTS: ReadonlySet<number> = new Set([307, 308]);

/** Limits the time of an export, and counts its outcome: nothing else reports failed exports. */
function exportPolicy(registry: MetricsRegistry, timeoutMs: number) {
  function count(outcome: 'sent' | 'dropped'): void {
    registry.count('telemetryExports', 1, { outcome });
  }
  return {
    name: 'limitAndCountExports',
    async sendRequest<Request extends { timeout: number }, Answer extends { status: number }>(
      request: Request,
      next: (request: Request) => Promise<Answer>,
    ): Promise<Answer> {
      request.timeout = timeoutMs;
      try {
        const answer = await next(request);
        if (!REDIRECTS.has(answer.status)) count(answer.status === ACCEPTED ? 'sent' : 'dropped');
        return answer;
      } catch (error) {
        count('dropped');
        throw error;
      }
    },
  };
}

/** Only these: the package would add the host name and the operating system. */
function resourceOf({ service }: AzureMonitorOptions) {
  return resourceFromAttributes({
    'service.name': service.name,
    'service.version': service.version,
    'service.instance.id': service.instance,
  });
}

async function waitAtMost(work: Promise<unknown>, timeoutMs: number): Promise<void> {
  const timeout = Promise.withResolvers<void>();
  const timer = setTimeout(timeout.resolve, timeoutMs);
  try {
    await Promise.race([work, timeout.promise]);
  } catch {
    // The package rejects if the endpoint is unavailable, and nothing can be done any more.
  } finally {
    clearTimeout(timer);
  }
}

/** Addresses and query strings may contain personal data or keys. */
const DROPPED: ReadonlySet<string> = new Set([
  'network.peer.address',
  'network.peer.port',
  'url.query',
  'user_agent.original',
]);

/** URLs from our own settings; digits in them are not personal data. */
const CONFIGURED: ReadonlySet<string> = new Set(['server.address', 'url.full', 'url.path']);

/**
 * Redacts a span while it ends, before any other processor reads it. Removes events and status
 * messages, because libraries put the messages of errors there.
 */
export function createRedactingSpanProcessor(redact: Redact): SpanProcessor {
  return {
    onStart: () => undefined,
    onEnding(span: Span & Partial<ReadableSpan>) {
      if (span.name !== undefined) span.updateName(redact(span.name));
      if (span.status !== undefined) span.setStatus({ code: span.status.code });
      if (span.events !== undefined) span.events.length = 0;
      if (span.attributes !== undefined) redactAttributes(span.attributes, redact);
    },
    onEnd: () => undefined,
    forceFlush: async () => undefined,
    shutdown: async () => undefined,
  };
}

function redactAttributes(attributes: Attributes, redact: Redact): void {
  for (const [name, value] of Object.entries(attributes)) {
    if (DROPPED.has(name)) delete attributes[name];
    else if (CONFIGURED.has(name)) attributes[name] = String(value).replace(/[?#].*/s, '');
    else attributes[name] = redactValue(value, redact);
  }
}

function redactValue(
  value: AttributeValue | undefined,
  redact: Redact,
): AttributeValue | undefined {
  if (typeof value === 'string') return redact(value);
  if (!Array.isArray(value)) return value;
  return value.map((one) => (typeof one === 'string' ? redact(one) : String(one)));
}
