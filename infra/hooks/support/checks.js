import { expect, jsonOf } from './call.js';
import { setting } from './terminal.js';

const QUESTION = { message: 'Hello, test message' };

/** What host.json promises on every answer. */
const SECURITY_HEADERS = {
  'x-content-type-options': /^nosniff$/,
  'x-frame-options': /^DENY$/,
  'referrer-policy': /^no-referrer$/,
  'content-security-policy': /default-src 'none'/,
};

/** The checks of a deployed app, in the order in which they make sense. */
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
  // GET, never HEAD: the platform answers HEAD with 404.
  const answer = await get('/health', { isKnown: false });
  expect(answer.status === 200, `GET /health answered ${answer.status} instead of 200`);
  expect(jsonOf(answer)?.status === 'healthy', 'GET /health did not say healthy');
}

async function checkReady({ get }, path) {
  const answer = await get(path, { isKnown: false });
  expect(
    answer.status === 200,
    `GET ${path} answered ${answer.status}: ${answer.text.slice(0, 300)}`,
  );
  const { status, chat, batch } = jsonOf(answer) ?? {};
  expect(status === 'ready' || status === 'degraded', `GET ${path} said ${String(status)}`);
  expect(chat?.status !== 'unready', `GET ${path} says that chat is unready: ${chat?.reason}`);
  expect(batch?.status !== 'unready', `GET ${path} says that batch is unready: ${batch?.reason}`);
  return status === 'degraded' ? `degraded: ${answer.text.slice(0, 300)}` : undefined;
}

async function checkHeaders({ get, isHttps }) {
  const { headers } = await get('/health', { isKnown: false });
  const wrong = Object.entries(SECURITY_HEADERS)
    .filter(([name, pattern]) => !pattern.test(headers.get(name) ?? ''))
    .map(([name]) => name);
  expect(wrong.length === 0, `missing or wrong: ${wrong.join(', ')}`);
  // The platform adds it, and a domain of one's own may have it in front: no reason to go back.
  return isHttps && !headers.has('strict-transport-security') ? 'no HSTS' : undefined;
}

async function checkRefusal({ post }, headers) {
  const { status } = await post('/api/chat', QUESTION, { isKnown: false, headers });
  expect(status === 401, `POST /api/chat answered ${status} instead of 401`);
}

async function checkOrigin({ ask }) {
  const { headers } = await ask('/api/chat', {
    method: 'OPTIONS',
    isKnown: false,
    headers: { origin: 'https://foreign.invalid', 'access-control-request-method': 'POST' },
  });
  const allowed = headers.get('access-control-allow-origin');
  expect(allowed === null, `a foreign origin is allowed: ${allowed}`);
}

async function checkChat({ post }) {
  if (isOutOfReach()) return 'not checked: set SMOKE_BEARER_TOKEN, as Entra ID is required';
  const answer = await post('/api/chat', QUESTION);
  expect(
    answer.status === 200,
    `POST /api/chat answered ${answer.status}: ${answer.text.slice(0, 300)}`,
  );
  const { response } = jsonOf(answer) ?? {};
  expect(typeof response === 'string' && response !== '', 'POST /api/chat gave no response text');
  expect(answer.headers.get('x-request-id') !== null, 'POST /api/chat gave no x-request-id');
  return undefined;
}

async function checkStream({ post }) {
  if (isOutOfReach()) return 'not checked: set SMOKE_BEARER_TOKEN, as Entra ID is required';
  const { status, text } = await post('/api/chat', QUESTION, {
    headers: { accept: 'text/event-stream' },
  });
  expect(status === 200, `a streamed POST /api/chat answered ${status}`);
  expect(/^event: delta$/m.test(text), 'the stream brought no text');
  expect(/^event: done$/m.test(text), 'the stream did not end with done');
  return undefined;
}

/** Entra ID stands in front, and this script has no token for it. */
export function isOutOfReach() {
  return setting('AUTH_CLIENT_ID') !== undefined && setting('SMOKE_BEARER_TOKEN') === undefined;
}
