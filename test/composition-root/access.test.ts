import { createServer } from 'node:http';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { createService, type Service } from '../../shared/composition-root.ts';
import { ConfigError } from '../../shared/config/config-error.ts';
import type { MissingReason, Secrets } from '../../shared/secrets/secrets.ts';

const stops: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const stop of stops.splice(0).toReversed()) await stop();
});

const MODEL = { OPENAI_API_KEY: 'k', OPENAI_BASE_URL: 'http://127.0.0.1:1/v1' };
const VAULT = { AZURE_KEY_VAULT_URL: 'https://dev.vault.azure.net' };

/** A vault that holds what the test says at the moment. */
function createVault(values: Record<string, string>, missing: MissingReason = 'absent'): Secrets {
  return {
    get: (name) => values[name],
    sourceOf: (name) => (values[name] === undefined ? 'none' : 'key-vault'),
    missingReason: (name) => (values[name] === undefined ? missing : undefined),
    loaded: async () => undefined,
    refreshNow: async () => false,
    onChange: () => () => undefined,
    state: () => ({ isFailing: false }),
    close: () => undefined,
  };
}

async function serve(environment: Record<string, string>, secrets?: Secrets): Promise<Service> {
  const service = await createService(environment, {
    writeLog: () => undefined,
    ...(secrets === undefined ? {} : { secrets }),
  });
  stops.push(() => service.close());
  return service;
}

/** The REST API of a Redis that refuses everything, and the tokens that it was shown. */
async function startRedisApi() {
  const tokens: (string | undefined)[] = [];
  const server = createServer((request, response) => {
    tokens.push(request.headers.authorization);
    response.writeHead(401, { 'content-type': 'application/json' }).end('{"error":"WRONGPASS"}');
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  stops.push(async () => void server.close());
  const { port } = server.address() as AddressInfo;
  return { url: `http://127.0.0.1:${port}`, tokens };
}

function whoIs(service: Service) {
  return service.identify({ header: () => undefined, forwardedFor: '192.0.2.1' });
}

describe('Redis in the settings', () => {
  it('needs its URL and its token', async () => {
    const redis = { UPSTASH_REDIS_REST_URL: 'https://redis.example' };

    await expect(serve({ ...MODEL, ...redis })).rejects.toThrow(ConfigError);
    await expect(serve({ ...MODEL, ...redis })).rejects.toThrow('UPSTASH_REDIS_REST_TOKEN');
    await expect(serve({ ...MODEL, UPSTASH_REDIS_REST_TOKEN: 't' })).rejects.toThrow(
      'UPSTASH_REDIS_REST_URL',
    );
  });

  it('gets the current token, and is not used while it refuses it', async () => {
    const { url, tokens } = await startRedisApi();
    const values: Record<string, string> = {
      'openai-api-key': 'k',
      'upstash-redis-rest-token': 'first',
    };
    const environment = { ...VAULT, UPSTASH_REDIS_REST_URL: url };
    const service = await serve(environment, createVault(values));
    const { limiter } = service.limits;

    const before = await limiter.reserve({ callerId: 'alice', tokens: 1 });
    values['upstash-redis-rest-token'] = 'second';
    // The ping that finds out whether Redis is back uses the new token.
    await expect
      .poll(() => (limiter.state(), tokens), { timeout: 8_000 })
      .toContain('Bearer second');

    expect([before.allowed, before.source]).toEqual([true, 'fallback']);
    expect(tokens[0]).toBe('Bearer first');
    const report = await service.readiness.report();
    expect(report).toMatchObject({ status: 'degraded', redis: { status: 'degraded' } });
  });

  it('costs no chat when the vault has no token for it', async () => {
    const environment = { ...VAULT, UPSTASH_REDIS_REST_URL: 'http://127.0.0.1:1' };
    const service = await serve(environment, createVault({ 'openai-api-key': 'k' }));

    const verdict = await service.limits.limiter.reserve({ callerId: 'alice', tokens: 1 });

    expect(verdict).toMatchObject({ allowed: true, source: 'fallback' });
  });
});

describe('keys of callers', () => {
  it('are not required if there is certainly no list', async () => {
    const local = await serve(MODEL);
    const withVault = await serve(VAULT, createVault({ 'openai-api-key': 'k' }));

    expect([whoIs(local).kind, whoIs(withVault).kind]).toEqual(['address', 'address']);
  });

  it.each<MissingReason>(['disabled', 'empty', 'access denied', 'timed out'])(
    'refuse every caller while the list may exist (%s)',
    async (reason) => {
      const service = await serve(VAULT, createVault({ 'openai-api-key': 'k' }, reason));

      expect(() => whoIs(service)).toThrow(`secret caller-keys: ${reason}`);
      expect((await service.readiness.report()).status).toBe('unready');
    },
  );

  it('refuse addresses while the routes need no key of the host', async () => {
    const anonymous = { ROUTE_AUTH_LEVEL: 'anonymous' };
    const vault = createVault({ 'openai-api-key': 'k' });
    const service = await serve({ ...VAULT, ...anonymous }, vault);

    expect(() => whoIs(service)).toThrow('Valid credentials are required');
    await expect(serve({ ...MODEL, ...anonymous })).rejects.toThrow('ROUTE_AUTH_LEVEL');
    await expect(serve({ ...MODEL, ROUTE_AUTH_LEVEL: 'admin' })).rejects.toThrow(
      'function or anonymous',
    );
  });

  it('stop the start when a role is required of principals that are not trusted', async () => {
    const role = { AGENT__CALLERS__ENTRA_APP_ROLE: 'Agent.Call' };

    await expect(serve({ ...MODEL, ...role })).rejects.toThrow('callers.trust_entra_principal');
  });

  it('stop the start when the variable holds something else', async () => {
    await expect(serve({ ...MODEL, CALLER_KEYS: 'alice' })).rejects.toThrow('CALLER_KEYS');
  });
});
