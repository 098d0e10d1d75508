import { createHash } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { runHook } from '../infra/support/fake-azure.ts';
import { startBreakingProxy } from './support/breaking-proxy.ts';
import { startEnvironment, type TestEnvironment } from './support/start-environment.ts';

const FUNCTION_KEY = 'function-key-of-the-host';
/** Also what the program named azd prints in the place of a token. */
const CALLER_KEY = 'a-token-of-azd';
const ROLE = 'Agent.Call';

/** The header that Easy Auth writes for a token with these roles. */
function principal(...roles: readonly string[]): Record<string, string> {
  const claims = [
    { typ: 'tid', val: '11111111-1111-1111-1111-111111111111' },
    { typ: 'oid', val: '22222222-2222-2222-2222-222222222222' },
    ...roles.map((val) => ({ typ: 'roles', val })),
  ];
  const header = Buffer.from(JSON.stringify({ auth_typ: 'aad', claims })).toString('base64');
  return { 'x-ms-client-principal': header };
}

let environment: TestEnvironment;
beforeAll(async () => {
  environment = await startEnvironment({
    // The host requires keys where a trigger registers with the level function.
    enableAuth: true,
    keys: { master: 'm', host: { default: FUNCTION_KEY } },
    settings: {
      ROUTE_AUTH_LEVEL: 'anonymous',
      AGENT__CALLERS__TRUST_ENTRA_PRINCIPAL: 'true',
      AGENT__CALLERS__ENTRA_APP_ROLE: ROLE,
      CALLER_KEYS: JSON.stringify({ alice: createHash('sha256').update(CALLER_KEY).digest('hex') }),
    },
  });
});
afterAll(() => environment.stop());

async function send(path: string, headers: Record<string, string>) {
  const isChat = path.startsWith('/api/');
  const response = await fetch(environment.url + path, {
    method: isChat ? 'POST' : 'GET',
    headers: { ...headers, ...(isChat && { 'content-type': 'application/json' }) },
    ...(isChat && { body: JSON.stringify({ message: 'Hi' }) }),
  });
  return { status: response.status, text: await response.text() };
}

describe.each(['/api/chat', '/v1/models', '/metrics', '/openai/v1/models'])(
  '%s while the routes need no key of the host',
  (path) => {
    it.each([
      ['a principal with the app role', principal('Other', ROLE)],
      ['a caller key', { authorization: `Bearer ${CALLER_KEY}` }],
    ])('serves %s', async (_who, headers) => {
      const { status } = await send(path, headers);

      expect(status).toBe(200);
    });

    it.each([
      ['no credential', {}],
      ['only the key of the host', { 'x-functions-key': FUNCTION_KEY }],
      ['a wrong caller key', { authorization: 'Bearer wrong' }],
    ])('answers 401 to %s', async (_who, headers) => {
      const { status, text } = await send(path, headers);

      expect(status).toBe(401);
      expect(text).toContain('"code":"unauthorized"');
    });

    it.each([
      ['without a role', principal()],
      ['with another role', principal('agent.call', 'Agent.CallAll')],
      ['without the role, beside a caller key', { ...principal(), 'x-api-key': CALLER_KEY }],
    ])('answers 403 to a principal %s', async (_who, headers) => {
      environment.model.reset();

      const { status, text } = await send(path, headers);

      expect(status).toBe(403);
      expect(text).toContain('"code":"forbidden"');
      expect(environment.model.calls()).toEqual([]);
    });
  },
);

describe('the smoke test of an app that requires Entra ID', () => {
  const SETTINGS = {
    AUTH_CLIENT_ID: 'an-id',
    SMOKE_FUNCTION_KEY: 'unknown',
    SMOKE_SECONDS: '0',
    SMOKE_BATCH_POLL_SECONDS: '0.2',
  };

  it('uses the token of the login of azd', async () => {
    const { code, output } = await runHook('smoke.js', {
      ...SETTINGS,
      SERVICE_API_URL: environment.url,
    });

    expect(output).toContain('ok    chat (3 of 3 answered by the model)');
    expect(output).not.toContain('not checked: Entra ID');
    expect(output).not.toContain(CALLER_KEY);
    expect(code).toBe(0);
  });

  it('says what it does not check where the app refuses that token', async () => {
    await using proxy = await startBreakingProxy(environment.url, (request, answer) => {
      if (request.url === '/v1/models') answer.status = 403;
    });

    const { code, output } = await runHook('smoke.js', { ...SETTINGS, SERVICE_API_URL: proxy.url });

    expect(output).toContain('no token of azd for the app: the app answered 403');
    expect(output).toContain('ok    chat (not checked: Entra ID is required');
    expect(code).toBe(0);
  });
});
