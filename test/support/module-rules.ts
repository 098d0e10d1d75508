/** What one module may import. A module is a folder or a single file directly below `shared/`. */
export interface ModuleRule {
  /** Modules that it may import, besides itself and the base modules. */
  readonly imports: readonly string[];
  /** Modules of which it may import types only. */
  readonly types?: readonly string[];
  /**
   * Its sub-folders from the top down, private to the module. The top-level files stand above them;
   * each sub-folder may import itself and those after it.
   */
  readonly folders?: readonly string[];
  /** Top-level files that stand below all sub-folders, so that these may import them. */
  readonly base?: readonly string[];
}

/** The layers that every other module may import. */
export const BASE_MODULES: readonly string[] = ['errors', 'clock', 'json'];

export const MODULES: Readonly<Record<string, ModuleRule>> = {
  functions: { imports: ['composition-root', 'http', 'batch', 'runs'] },
  'composition-root': {
    imports: [
      'agent',
      'batch',
      'cache',
      'callers',
      'config',
      'guardrails',
      'health',
      'http',
      'idempotency',
      'model',
      'protocols',
      'rate-limit',
      'redis',
      'resilience',
      'runs',
      'secrets',
      'sessions',
      'storage',
      'telemetry',
    ],
    folders: ['composition-root'],
  },
  http: {
    imports: [
      'protocols',
      'agent',
      'batch',
      'callers',
      'rate-limit',
      'health',
      'idempotency',
      'runs',
      'sessions',
      'resilience',
      'telemetry',
    ],
  },
  batch: {
    imports: ['protocols', 'agent', 'storage', 'resilience', 'telemetry'],
    folders: ['api', 'processing', 'planning', 'storage', 'model'],
    base: ['storage-names.ts', 'input-limits.ts'],
  },
  protocols: { imports: [], types: ['agent', 'model'] },
  agent: {
    imports: ['model', 'cache', 'guardrails', 'resilience', 'telemetry'],
    folders: ['tools', 'mcp'],
    base: ['tool.ts', 'json-schema.ts'],
  },
  guardrails: {
    imports: ['resilience', 'telemetry'],
    folders: ['detectors', 'injection', 'canary'],
  },
  model: {
    imports: ['resilience', 'telemetry'],
    folders: ['openai'],
    base: ['model.ts', 'upstream-error.ts', 'http-client.ts', 'proxy.ts'],
  },
  storage: {
    imports: ['resilience', 'telemetry'],
    folders: ['azure'],
    base: ['blob-container.ts', 'group-commit.ts'],
  },
  idempotency: { imports: ['storage', 'telemetry'] },
  runs: {
    imports: ['protocols', 'agent', 'storage', 'resilience', 'telemetry'],
    base: ['storage-names.ts'],
  },
  sessions: { imports: ['storage', 'telemetry'], types: ['agent', 'model'] },
  redis: { imports: ['resilience', 'telemetry'] },
  resilience: { imports: ['telemetry'] },
  callers: { imports: ['telemetry'] },
  'rate-limit': { imports: ['callers', 'telemetry'] },
  cache: { imports: ['resilience', 'telemetry'] },
  health: { imports: ['resilience', 'telemetry'] },
  config: { imports: ['secrets', 'telemetry'] },
  secrets: { imports: ['resilience', 'telemetry'] },
  telemetry: {
    imports: [],
    folders: ['azure-monitor'],
    base: [
      'telemetry.ts',
      'create-telemetry.ts',
      'metrics.ts',
      'queue-metrics.ts',
      'metric-definition.ts',
      'metrics-registry.ts',
      'spans.ts',
    ],
  },
  errors: { imports: [] },
  clock: { imports: [] },
  json: { imports: ['errors'] },
};

export interface OpenFolder {
  readonly folder: string;
  /** Files, or folders that end in `/`. */
  readonly to: readonly string[];
  readonly reason: string;
}

/** Sub-folders that are open to named files or folders of other modules, with the reason. */
export const OPEN_FOLDERS: readonly OpenFolder[] = [
  {
    folder: 'shared/telemetry/azure-monitor/',
    to: ['shared/composition-root.ts', 'shared/composition-root/'],
    reason: 'an adapter, loaded when a connection string is known',
  },
  {
    folder: 'shared/storage/azure/',
    to: ['shared/composition-root/', 'shared/batch/azure-job-queue.ts'],
    reason: 'an adapter; the queue of the same account uses its connection and its time limits',
  },
  {
    folder: 'shared/model/openai/',
    to: ['shared/composition-root/'],
    reason: 'an adapter',
  },
  {
    folder: 'shared/agent/tools/',
    to: ['shared/composition-root/'],
    reason: 'the tools that the settings enable, each loaded when it is used',
  },
  {
    folder: 'shared/agent/mcp/',
    to: ['shared/composition-root/'],
    reason: 'an adapter, loaded when the settings name an MCP server',
  },
  {
    folder: 'shared/batch/api/',
    to: ['shared/http/'],
    reason: 'the services and views that the routes of batches and files encode',
  },
];

/** Adapters among the top-level files: other modules know their interface only. */
export const ADAPTERS: readonly string[] = [
  'shared/batch/azure-job-queue.ts',
  'shared/secrets/key-vault.ts',
];

export interface PackageRule {
  /** A name, or a scope or name prefix that ends in `*`. */
  readonly packages: readonly string[];
  /** Files, or folders that end in `/`. */
  readonly in: readonly string[];
  /** Files or folders that may import types only. */
  readonly typesIn?: readonly string[];
}

/** Where each package may be imported; one that is not listed may not be imported at all. */
export const PACKAGES: readonly PackageRule[] = [
  {
    packages: ['@azure/functions'],
    in: ['functions/', 'shared/http/'],
    typesIn: ['shared/batch/queue-trigger.ts', 'shared/runs/create-runs.ts'],
  },
  {
    packages: ['@azure/identity'],
    in: ['shared/composition-root/secrets.ts', 'shared/composition-root/model.ts'],
    typesIn: [
      'shared/composition-root/',
      'shared/secrets/key-vault.ts',
      'shared/storage/azure/',
      'shared/telemetry/azure-monitor/',
    ],
  },
  { packages: ['@azure/keyvault-secrets'], in: ['shared/secrets/key-vault.ts'] },
  {
    packages: ['@azure/storage-*'],
    in: ['shared/storage/azure/'],
  },
  {
    packages: ['@azure/logger', 'applicationinsights', '@opentelemetry/*'],
    in: ['shared/telemetry/azure-monitor/'],
  },
  { packages: ['openai'], in: ['shared/model/openai/'], typesIn: ['shared/protocols/'] },
  { packages: ['eventsource-parser'], in: ['shared/model/openai/'] },
  { packages: ['ajv'], in: ['shared/agent/json-schema.ts'] },
  { packages: ['node:vm'], in: ['shared/agent/json-schema.ts'] },
  { packages: ['@modelcontextprotocol/sdk'], in: ['shared/agent/mcp/mcp-session.ts'] },
  { packages: ['re2js'], in: ['shared/guardrails/input-validation.ts'] },
  { packages: ['cockatiel'], in: ['shared/resilience/'] },
  {
    packages: ['@upstash/redis'],
    in: ['shared/redis/'],
    typesIn: ['shared/cache/'],
  },
  { packages: ['@upstash/ratelimit'], in: ['shared/rate-limit/'] },
  {
    packages: ['lru-cache'],
    in: ['shared/cache/', 'shared/callers/', 'shared/model/', 'shared/rate-limit/', 'shared/runs/'],
  },
  { packages: ['smol-toml'], in: ['shared/config/'] },
  { packages: ['@fastify/busboy'], in: ['shared/http/upload.ts'] },
  { packages: ['ipaddr.js'], in: ['shared/callers/', 'shared/agent/tools/safe-fetch.ts'] },
  {
    packages: ['node:dns/promises', 'node:http', 'node:https', 'node:net'],
    in: ['shared/agent/tools/safe-fetch.ts'],
  },
  { packages: ['zod'], in: ['shared/'] },
  { packages: ['node:http', 'node:https', 'node:net'], in: ['shared/http/', 'shared/model/'] },
  { packages: ['node:net'], in: ['shared/callers/', 'shared/guardrails/detectors/'] },
  { packages: ['node:module'], in: ['shared/batch/queue-trigger.ts'] },
  {
    packages: ['node:fs', 'node:fs/*'],
    in: ['shared/config/agent-toml.ts', 'shared/http/page-handler.ts'],
  },
  {
    packages: [
      'node:buffer',
      'node:crypto',
      'node:diagnostics_channel',
      'node:events',
      'node:os',
      'node:path',
      'node:perf_hooks',
      'node:process',
      'node:stream',
      'node:stream/*',
      'node:timers',
      'node:timers/*',
      'node:url',
      'node:util',
      'node:zlib',
      'node:async_hooks',
    ],
    in: ['shared/'],
  },
];

/** Files that load a module by require. The worker supplies `@azure/functions-core` to require only. */
export const REQUIRES: readonly string[] = ['shared/batch/queue-trigger.ts'];

export interface ClientRule {
  readonly name: RegExp;
  /** Files, or folders that end in `/`; nowhere if empty. */
  readonly in: readonly string[];
}

/** What may be built where: everything that opens connections or holds credentials. */
export const CLIENTS: readonly ClientRule[] = [
  { name: /Credential$/, in: ['shared/composition-root/secrets.ts'] },
  { name: /^SecretClient$/, in: ['shared/secrets/key-vault.ts'] },
  { name: /^Queue(?:Service)?Client$/, in: ['shared/storage/azure/'] },
  {
    name: /^(?:Container|BlobService|Blob|BlockBlob|AppendBlob)Client$/,
    in: ['shared/storage/azure/'],
  },
  {
    name: /(?:Exporter|Provider|Processor|MetricReader)$/,
    in: ['shared/telemetry/azure-monitor/'],
  },
  { name: /^(?:Azure)?OpenAI$/, in: ['shared/model/openai/'] },
  { name: /^Client$/, in: ['shared/agent/mcp/mcp-session.ts'] },
  { name: /^Redis$/, in: ['shared/redis/'] },
  { name: /^Ratelimit$/, in: ['shared/rate-limit/'] },
  { name: /Client$/, in: [] },
];

/** The only file that reads the environment. */
export const ENVIRONMENT_READER = 'shared/composition-root.ts';

export const MAX_TRIGGER_LINES = 40;
