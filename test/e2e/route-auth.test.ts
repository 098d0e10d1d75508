import { createHash } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startEnvironment, type TestEnvironment } from './support/start-environment.ts';

const FUNCTION_KEY = 'function-key-of-the-host';
const CALLER_KEY = 'caller-key-of-alice';
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
