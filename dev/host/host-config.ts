import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { z } from 'zod';
import { CliError } from '../cli-error.ts';
import { parseJson, readOptionalFile } from './settings-file.ts';
import { parseTimeSpan } from './time-span.ts';

/** The part of host.json that this host honours, with the platform's defaults filled in. */
export interface HostConfig {
  /** Undefined: no limit. */
  readonly functionTimeoutMs: number | undefined;
  readonly logLevels: Readonly<Record<string, string>>;
  readonly http: HttpConfig;
  readonly queues: QueueConfig;
}

export interface HttpConfig {
  readonly routePrefix: string;
  readonly customHeaders: Readonly<Record<string, string>>;
  readonly maxConcurrentRequests: number;
  readonly maxOutstandingRequests: number;
}

export interface QueueConfig {
  readonly batchSize: number;
  readonly newBatchThreshold: number;
  readonly maxPollingMs: number;
  /** How long a failed message stays invisible before its next delivery. */
  readonly retryDelayMs: number;
  readonly maxDequeueCount: number;
  readonly messageEncoding: 'none' | 'base64';
}

const DEFAULT_TIMEOUT_MS = 30 * 60_000;
const MAX_BATCH = 32;
/** Settings may override any value of host.json under names that begin so. */
const OVERRIDE = /^AzureFunctionsJobHost__/i;

const timeSpan = z.string().transform(toMs);
const count = z.coerce.number().int();
const limit = count
  .refine((value) => value === -1 || value > 0, 'must be positive, or -1')
  .default(-1);

const httpSchema = z.object({
  routePrefix: z.string().default('api'),
  customHeaders: z.record(z.string(), z.string()).default({}),
  maxConcurrentRequests: limit,
  maxOutstandingRequests: limit,
});

const queuesSchema = z.object({
  batchSize: count.min(1).max(MAX_BATCH).default(16),
  newBatchThreshold: count.min(0).optional(),
  maxPollingInterval: timeSpan.optional(),
  visibilityTimeout: timeSpan.default(0),
  maxDequeueCount: count.min(1).default(5),
  messageEncoding: z
    .string()
    .toLowerCase()
    .pipe(z.enum(['none', 'base64']))
    .default('base64'),
});

const fileSchema = z.object({
  version: z.literal('2.0', `must be "2.0"`),
  functionTimeout: z.string().transform(toTimeout).optional(),
  logging: z
    .object({ logLevel: z.record(z.string(), z.string()).default({}) })
    .default({ logLevel: {} }),
  extensions: z
    .object({ http: httpSchema.prefault({}), queues: queuesSchema.prefault({}) })
    .prefault({}),
});

/** Reads host.json as the platform does; settings named AzureFunctionsJobHost__a__b win over it. */
export function readHostConfig(
  appRoot: string,
  environment: Readonly<Record<string, string>>,
): HostConfig {
  const path = join(appRoot, 'host.json');
  const text = readOptionalFile(path);
  if (text === undefined) throw new CliError(`Cannot start as ${path} must exist: it does not`);
  const parsed = fileSchema.safeParse(withOverrides(parseJson(text, path), environment));
  if (!parsed.success) {
    const problems = parsed.error.issues.map(
      ({ path: where, message }) => `'${where.join('.')}' ${message}`,
    );
    throw new CliError(`Cannot start as ${path} must be valid: ${problems.join('; ')}`);
  }
  return toConfig(parsed.data, environment);
}

function toConfig(
  { functionTimeout, logging, extensions: { http, queues } }: z.infer<typeof fileSchema>,
  environment: Readonly<Record<string, string>>,
): HostConfig {
  const isDevelopment =
    (environment['AZURE_FUNCTIONS_ENVIRONMENT'] ?? 'Development').toLowerCase() === 'development';
  return {
    functionTimeoutMs:
      functionTimeout === 'none' ? undefined : (functionTimeout ?? DEFAULT_TIMEOUT_MS),
    logLevels: logging.logLevel,
    http: { ...http, routePrefix: http.routePrefix.replace(/^\/+|\/+$/g, '') },
    queues: {
      batchSize: queues.batchSize,
      newBatchThreshold:
        queues.newBatchThreshold ?? Math.floor(queues.batchSize / 2) * availableParallelism(),
      maxPollingMs: queues.maxPollingInterval ?? (isDevelopment ? 2_000 : 60_000),
      retryDelayMs: queues.visibilityTimeout,
      maxDequeueCount: queues.maxDequeueCount,
      messageEncoding: queues.messageEncoding,
    },
  };
}

function toMs(text: string, context: z.RefinementCtx): number {
  const ms = parseTimeSpan(text);
  if (ms !== undefined) return ms;
  context.addIssue(`must be a duration as hh:mm:ss: current value is '${text}'`);
  return z.NEVER;
}

function toTimeout(text: string, context: z.RefinementCtx): number | 'none' {
  return text === '-1' ? 'none' : toMs(text, context);
}

function withOverrides(file: unknown, environment: Readonly<Record<string, string>>): unknown {
  const overrides = Object.entries(environment).filter(([name]) => OVERRIDE.test(name));
  if (overrides.length === 0 || !isRecord(file)) return file;
  const result = structuredClone(file);
  for (const [name, value] of overrides) {
    const keys = name.replace(OVERRIDE, '').split('__');
    const last = keys.pop() ?? '';
    let place = result;
    for (const key of keys) place = childOf(place, key);
    place[existingKey(place, last)] = value;
  }
  return result;
}

function childOf(parent: Record<string, unknown>, name: string): Record<string, unknown> {
  const key = existingKey(parent, name);
  const child = parent[key];
  if (isRecord(child)) return child;
  const created: Record<string, unknown> = {};
  parent[key] = created;
  return created;
}

function existingKey(parent: Record<string, unknown>, name: string): string {
  return Object.keys(parent).find((key) => key.toLowerCase() === name.toLowerCase()) ?? name;
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
