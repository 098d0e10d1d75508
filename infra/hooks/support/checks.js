import { readFile } from 'node:fs/promises';
import { expect, jsonOf } from './call.js';
import { setting } from './terminal.js';

/** Instances of two versions answer in turn during a rolling update. */
const VERSION_PROBES = 5;
/** One answer may be luck; a model that fails now and then shows in several. */
const CHATS = 3;
const CREDENTIALS_PROBE = { message: 'Hello, test message' };

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
  { name: 'version', run: checkVersion },
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

/** The build that was deployed must be the one that answers. */
async function checkVersion({ get }) {
  const expected = await deployedVersion();
  const versions = new Map();
  for (let probe = 0; probe < VERSION_PROBES; probe += 1) {
    const { version } = jsonOf(await get('/health', { isAuthenticated: false })) ?? {};
    versions.set(version, (versions.get(version) ?? 0) + 1);
  }
  const seen = [...versions].map(([version, count]) => `${version} ${count} times`).join(', ');
  if (expected === undefined) return `${seen}; not compared, because SMOKE_VERSION is not set`;
  expect(
    versions.size === 1 && versions.has(expected),
    `${expected} was deployed, but GET /health answered with ${seen}`,
  );
  return expected;
}

/** The version of the package: from the pipeline, or else from the build beside this script. */
async function deployedVersion() {
  const configured = setting('SMOKE_VERSION');
  if (configured !== undefined) return configured;
  const build = new URL('../../../dist/build.json', import.meta.url);
  const text = await readFile(build, 'utf8').catch(() => '');
  return jsonOf({ text })?.version;
}

async function checkReady({ get }, path) {
  const response = await get(path, { isAuthenticated: false });
  expect(
    response.status === 200,
    `GET ${path} answered ${response.status}: ${response.text.slice(0, 300)}`,
  );
  const { status, ...parts } = jsonOf(response) ?? {};
  expect(
    status === 'ready' || status === 'degraded',
    `GET ${path} returned the status ${String(status)}`,
  );
  for (const name of ['chat', 'batch']) {
    expect(parts[name] !== undefined, `GET ${path} did not report ${name}`);
  }
  const notReady = Object.entries(parts).filter(([, part]) => part?.status !== 'ready');
  const described = notReady.map(([name, part]) => `${name} is ${part?.status}: ${part?.reason}`);
  expect(
    notReady.every(([, part]) => part?.status === 'degraded'),
    `GET ${path}: ${described.join('; ')}`,
  );
  return described.length === 0 ? undefined : described.join('; ');
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
  const { status } = await post('/api/chat', CREDENTIALS_PROBE, {
    isAuthenticated: false,
    headers,
  });
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

/** A question that no cache can answer. */
function freshQuestion() {
  return { message: `Count from one to ten in words, then repeat this id: ${crypto.randomUUID()}` };
}

const FROM_THE_MODEL = { 'cache-control': 'no-store' };

async function checkChat({ post }) {
  if (lacksBearerToken()) return 'not checked: Entra ID is required, set SMOKE_BEARER_TOKEN';
  const responses = [];
  for (let chat = 0; chat < CHATS; chat += 1) {
    responses.push(await post('/api/chat', freshQuestion(), { headers: FROM_THE_MODEL }));
  }
  expectModel(responses.filter(({ status }) => status !== 200));
  for (const response of responses) {
    const { response: text, cached } = jsonOf(response) ?? {};
    expect(typeof text === 'string' && text !== '', 'POST /api/chat returned no response text');
    expect(cached === false, `POST /api/chat answered a new question with cached: ${cached}`);
    expect(response.headers.has('x-request-id'), 'POST /api/chat returned no x-request-id');
  }
  return `${CHATS} of ${CHATS} answered by the model`;
}

/** Names a model that fails as such, with the number of each failure. */
function expectModel(failed) {
  if (failed.length === 0) return;
  const counts = new Map();
  for (const response of failed) {
    const code = jsonOf(response)?.error?.code ?? response.text.slice(0, 100);
    const failure = `${response.status} ${code}`;
    counts.set(failure, (counts.get(failure) ?? 0) + 1);
  }
  const failures = [...counts].map(([failure, count]) => `${failure} ${count} times`).join(', ');
  const isModel = [...counts.keys()].every((failure) => / (upstream_|overloaded)/.test(failure));
  const what = isModel ? 'the model does not answer' : 'POST /api/chat does not answer';
  throw new Error(`${what}: ${failed.length} of ${CHATS} chats failed (${failures})`);
}

async function checkStream({ post }) {
  if (lacksBearerToken()) return 'not checked: Entra ID is required, set SMOKE_BEARER_TOKEN';
  const { status, text, pieces } = await post('/api/chat', freshQuestion(), {
    headers: { ...FROM_THE_MODEL, accept: 'text/event-stream' },
  });
  expect(status === 200, `a streamed POST /api/chat answered ${status}: ${text.slice(0, 300)}`);
  const error = /^event: error\ndata: (.*)$/m.exec(text)?.[1];
  const code = jsonOf({ text: error ?? '' })?.error?.code ?? error;
  expect(error === undefined, `the model does not stream: the stream ended with ${code}`);
  const chunks = text.match(/^event: delta$/gm)?.length ?? 0;
  expect(chunks > 0, 'the stream contained no text');
  expect(chunks > 1, 'the answer came as one chunk: the model does not stream');
  const done = jsonOf({ text: /^event: done\ndata: (.*)$/m.exec(text)?.[1] ?? '' });
  expect(done !== undefined, 'the stream did not end with done');
  expect(done.cached === false, `the stream answered a new question with cached: ${done.cached}`);
  const delivery =
    pieces === 1 ? 'all at once: something in front collects the stream' : 'streamed';
  return `${chunks} chunks, ${delivery}`;
}

/** Whether the app requires Entra ID and this script has no token for it. */
export function lacksBearerToken() {
  return setting('AUTH_CLIENT_ID') !== undefined && setting('SMOKE_BEARER_TOKEN') === undefined;
}
