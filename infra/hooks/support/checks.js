import { expect, jsonOf } from './call.js';
import { setting } from './terminal.js';

const QUESTION = { message: 'Hello, test message' };

/** The headers that host.json adds to every response. */
const SECURITY_HEADERS = {
  'x-content-type-options': /^nosniff$/,
  'x-frame-options': /^DENY$/,
  'referrer-policy': /^no-referrer$/,
  'content-security-policy': /default-src 'none'/,
};

/** The checks of a deployed app, in the order in which they run. */
export const CHECKS = [
  { name: 'health', run: checkHealth },
  { name: 'ready', run: (caller) => checkReady(caller, '/ready') },
  { name: 'health/ready', run: (caller) => checkReady(caller, '/health/ready') },
  { name: 'security headers', run: checkHeaders },
  { name: 'call without a key', run: (caller) => checkRefusal(caller, {}) },
  {
    name: 'call with a wrong key',
    run: (caller) => checkRefusal(caller, { 'x-functions-key': 'wrong' }),
  },
  { name: 'foreign origin', run: checkOrigin },
  { name: 'chat', run: checkChat },
  { name: 'streamed chat', run: checkStream },
];

async function checkHealth({ get }) {
  // GET, because the platform answers HEAD with 404.
  const response = await get('/health', { isAuthenticated: false });
  expect(response.status === 200, `GET /health answered ${response.status} instead of 200`);
  expect(jsonOf(response)?.status === 'healthy', 'GET /health did not return healthy');
}

async function checkReady({ get }, path) {
  const response = await get(path, { isAuthenticated: false });
  expect(
    response.status === 200,
    `GET ${path} answered ${response.status}: ${response.text.slice(0, 300)}`,
  );
  const { status, chat, batch } = jsonOf(response) ?? {};
  expect(
    status === 'ready' || status === 'degraded',
    `GET ${path} returned the status ${String(status)}`,
  );
  expect(chat?.status !== 'unready', `GET ${path}: chat is unready: ${chat?.reason}`);
  expect(batch?.status !== 'unready', `GET ${path}: batch is unready: ${batch?.reason}`);
  return status === 'degraded' ? `degraded: ${response.text.slice(0, 300)}` : undefined;
}

async function checkHeaders({ get, isHttps }) {
  const { headers } = await get('/health', { isAuthenticated: false });
  const wrong = Object.entries(SECURITY_HEADERS)
    .filter(([name, pattern]) => !pattern.test(headers.get(name) ?? ''))
    .map(([name]) => name);
  expect(wrong.length === 0, `missing or wrong: ${wrong.join(', ')}`);
  // Not a failure: the platform or a gateway adds HSTS.
  return isHttps && !headers.has('strict-transport-security') ? 'no HSTS' : undefined;
}

async function checkRefusal({ post }, headers) {
  const { status } = await post('/api/chat', QUESTION, { isAuthenticated: false, headers });
  expect(status === 401, `POST /api/chat answered ${status} instead of 401`);
}

async function checkOrigin({ request }) {
  const { headers } = await request('/api/chat', {
    method: 'OPTIONS',
    isAuthenticated: false,
    headers: { origin: 'https://foreign.invalid', 'access-control-request-method': 'POST' },
  });
  const allowed = headers.get('access-control-allow-origin');
  expect(allowed === null, `a foreign origin is allowed: ${allowed}`);
}

async function checkChat({ post }) {
  if (lacksBearerToken()) return 'not checked: Entra ID is required, set SMOKE_BEARER_TOKEN';
  const response = await post('/api/chat', QUESTION);
  expect(
    response.status === 200,
    `POST /api/chat answered ${response.status}: ${response.text.slice(0, 300)}`,
  );
  const { response: text } = jsonOf(response) ?? {};
  expect(typeof text === 'string' && text !== '', 'POST /api/chat returned no response text');
  expect(response.headers.get('x-request-id') !== null, 'POST /api/chat returned no x-request-id');
  return undefined;
}

async function checkStream({ post }) {
  if (lacksBearerToken()) return 'not checked: Entra ID is required, set SMOKE_BEARER_TOKEN';
  const { status, text } = await post('/api/chat', QUESTION, {
    headers: { accept: 'text/event-stream' },
  });
  expect(status === 200, `a streamed POST /api/chat answered ${status}`);
  expect(/^event: delta$/m.test(text), 'the stream contained no text');
  expect(/^event: done$/m.test(text), 'the stream did not end with done');
  return undefined;
}

/** Whether the app requires Entra ID and this script has no token for it. */
export function lacksBearerToken() {
  return setting('AUTH_CLIENT_ID') !== undefined && setting('SMOKE_BEARER_TOKEN') === undefined;
}
