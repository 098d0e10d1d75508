import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { beforeAll, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { AZURE_ROUTES } from '../../shared/http/azure-openai-handler.ts';

const captureSchema = z.object({
  registered: z.array(
    z.object({
      name: z.string(),
      bindings: z.record(z.string(), z.record(z.string(), z.unknown())),
    }),
  ),
  hooks: z.array(z.string()),
  loaded: z.array(z.string()),
  builtins: z.array(z.string()),
});

/** Packages that cost a cold start tens of milliseconds and that no trigger needs to register. */
const LAZY = [
  'applicationinsights',
  '@azure/monitor-opentelemetry-exporter',
  '@opentelemetry/',
  '@azure/identity',
  '@azure/keyvault-secrets',
  '@azure/storage-',
  '@modelcontextprotocol/',
];

function capture(glob: string, env: Record<string, string> = {}): z.infer<typeof captureSchema> {
  const script = fileURLToPath(new URL('./capture-registrations.ts', import.meta.url));
  const output = execFileSync(process.execPath, [script, glob], { env, encoding: 'utf8' });
  return captureSchema.parse(JSON.parse(output));
}

function describeTrigger(bindings: Record<string, Record<string, unknown>>): string {
  const trigger =
    Object.values(bindings).find(({ type }) => String(type).endsWith('Trigger')) ?? {};
  if (trigger['type'] === 'queueTrigger') return `queue ${String(trigger['queueName'])}`;
  return `${String(trigger['methods'])} /${String(trigger['route'])} ${String(trigger['authLevel'])}`;
}

const EXPECTED = {
  azureOpenAi: 'GET,POST,DELETE /openai/{*path} function',
  batch: 'queue batch-jobs',
  batchPoison: 'queue batch-jobs-poison',
  batchesCancel: 'POST /v1/batches/{id}/cancel function',
  batchesCreate: 'POST /v1/batches function',
  batchesGet: 'GET /v1/batches/{id} function',
  batchesList: 'GET /v1/batches function',
  batchesRetryFailed: 'POST /v1/batches/{id}/retry-failed function',
  chat: 'POST /api/chat function',
  chatResume: 'GET /api/chat/{id}/stream function',
  chatRunsCancel: 'POST /api/chat/{id}/cancel function',
  chatStop: 'POST /api/chat/{id}/stop function',
  chatRunsGet: 'GET /api/chat/{id} function',
  chatStream: 'POST /api/chat/stream function',
  completions: 'POST /v1/chat/completions function',
  conversationsCreate: 'POST /v1/conversations function',
  conversationsDelete: 'DELETE /v1/conversations/{id} function',
  conversationsGet: 'GET /v1/conversations/{id} function',
  conversationsItemsAdd: 'POST /v1/conversations/{id}/items function',
  conversationsItemsDelete: 'DELETE /v1/conversations/{id}/items/{itemId} function',
  conversationsItemsGet: 'GET /v1/conversations/{id}/items/{itemId} function',
  conversationsItemsList: 'GET /v1/conversations/{id}/items function',
  conversationsUpdate: 'POST /v1/conversations/{id} function',
  filesContent: 'GET /v1/files/{id}/content function',
  filesCreate: 'POST /v1/files function',
  filesDelete: 'DELETE /v1/files/{id} function',
  filesList: 'GET /v1/files function',
  filesGet: 'GET /v1/files/{id} function',
  health: 'GET /health anonymous',
  healthReady: 'GET /health/ready anonymous',
  mcp: 'POST,GET,DELETE /mcp function',
  metrics: 'GET /metrics function',
  models: 'GET /v1/models function',
  modelsGet: 'GET /v1/models/{id} function',
  openapi: 'GET /openapi.json anonymous',
  page: 'GET /{root:maxlength(0)?} anonymous',
  ready: 'GET /ready anonymous',
  responsesCancel: 'POST /v1/responses/{id}/cancel function',
  responsesCreate: 'POST /v1/responses function',
  sessionsDelete: 'DELETE /api/sessions/{id} function',
  sessionsGet: 'GET /api/sessions/{id} function',
  sessionsList: 'GET /api/sessions function',
  unknownRoute: 'GET,POST,PUT,PATCH,DELETE,HEAD,OPTIONS /{*path:minlength(1)} anonymous',
  responsesDelete: 'DELETE /v1/responses/{id} function',
  responsesGet: 'GET /v1/responses/{id} function',
  responsesInputTokens: 'POST /v1/responses/input_tokens function',
  responsesInputItems: 'GET /v1/responses/{id}/input_items function',
  runs: 'queue agent-runs',
  runsPoison: 'queue agent-runs-poison',
};

describe.each([
  { what: 'the sources', glob: 'functions/*.ts' },
  { what: 'the built package', glob: 'dist/functions/*.js' },
])('$what in a bare process with an empty environment', ({ glob }) => {
  let captured: z.infer<typeof captureSchema>;

  beforeAll(() => {
    captured = capture(glob);
  });

  it('register exactly the planned triggers', () => {
    const triggers = captured.registered.map(({ name, bindings }) => [
      name,
      describeTrigger(bindings),
    ]);

    expect(Object.fromEntries(triggers)).toEqual(EXPECTED);
    expect(captured.hooks).toContain('appTerminate');
  });

  it('have an alias below /openai for each route below /v1', () => {
    const triggers = captured.registered.map(({ bindings }) => describeTrigger(bindings));
    const aliases = AZURE_ROUTES.map(({ method, path }) => `${method} /v1/${path} function`);

    const own = triggers.filter((trigger) => trigger.includes(' /v1/'));

    expect(aliases.toSorted()).toEqual(own.toSorted());
  });

  it('try the route of unknown paths last, as the platform sorts by name', () => {
    const names = captured.registered.map(({ name }) => name.toLowerCase());

    expect(names.toSorted((a, b) => (a < b ? -1 : 1)).at(-1)).toBe('unknownroute');
  });

  it('load none of the packages that only some installations need', () => {
    const sources = captured.loaded.flatMap((url) => [url].concat(sourcesOf(url)));

    const heavy = sources.filter((path) =>
      LAZY.some((name) => path.includes(`node_modules/${name}`)),
    );

    expect(heavy).toEqual([]);
    expect(sources.some((path) => path.includes('@azure/functions/'))).toBe(true);
  });
});

describe('the level of the routes for callers', () => {
  const levelsOf = (level: string) => {
    const { registered } = capture('functions/*.ts', { ROUTE_AUTH_LEVEL: level });
    return Object.fromEntries(
      registered.map(({ name, bindings }) => [name, describeTrigger(bindings)]),
    );
  };

  it('is anonymous only by the setting, and for all of them', () => {
    const anonymous = Object.entries(EXPECTED).map(([name, trigger]) => [
      name,
      trigger.replace(/ function$/, ' anonymous'),
    ]);

    expect(levelsOf(' anonymous ')).toEqual(Object.fromEntries(anonymous));
  });

  it('stays function with a value that is not accepted', () => {
    expect(levelsOf('Anonymous')).toEqual(EXPECTED);
  });
});

it('the built package loads no undici, which an import of node:http would', () => {
  const { builtins } = capture('dist/functions/*.js');

  expect(builtins).toContain('http');
  expect(builtins.filter((name) => name.includes('undici'))).toEqual([]);
});

/** A bundled file names in its source map what went into it. */
function sourcesOf(url: string): string[] {
  if (!url.startsWith('file:') || !url.includes('/dist/')) return [];
  const map = `${fileURLToPath(url)}.map`;
  if (!existsSync(map)) return [];
  return z.object({ sources: z.array(z.string()) }).parse(JSON.parse(readFileSync(map, 'utf8')))
    .sources;
}
