import { connect, type PeerCertificate, type TLSSocket } from 'node:tls';
import * as z from 'zod';
import type { Deployment } from './deployment.ts';
import { fail, pass, type Finding } from './finding.ts';

const PLAIN_HTTP_TIMEOUT_MS = 10_000;
/** Some of the headers that host.json adds. */
const SECURITY_HEADERS = ['x-content-type-options', 'x-frame-options', 'content-security-policy'];

const readySchema = z.record(
  z.string(),
  z.union([z.string(), z.object({ status: z.string(), reason: z.string().optional() })]),
);

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** GET /health answers, and names the build. */
export async function isHealthy(deployment: Deployment): Promise<Finding> {
  const { status, text } = await deployment.get('/health');
  const health = z
    .object({ status: z.literal('healthy'), version: z.string() })
    .safeParse(parse(text));
  return status === 200 && health.success
    ? pass(`GET /health: version ${health.data.version}`)
    : fail(`GET /health answered ${status}`);
}

/** Every part of GET /ready is ready. */
export async function isReady(deployment: Deployment): Promise<Finding> {
  const { status, text } = await deployment.get('/ready');
  const report = readySchema.safeParse(parse(text));
  if (!report.success) return fail(`GET /ready answered ${status}`);
  const parts = Object.entries(report.data).flatMap(([name, part]) =>
    typeof part === 'string' ? [] : [{ name, ...part }],
  );
  const bad = parts.filter((part) => part.status !== 'ready');
  return status === 200 && bad.length === 0
    ? pass(`GET /ready: ${parts.map(({ name }) => name).join(', ')} ready`)
    : fail(bad.map((part) => `${part.name} is ${part.status}: ${part.reason ?? ''}`).join('; '));
}

/** The model answers new questions. */
export async function answersChats(deployment: Deployment): Promise<Finding> {
  const replies = await deployment.baseline();
  const failed = replies.filter(({ status }) => status !== 200);
  return failed.length === 0
    ? pass(`${replies.length} of ${replies.length} chats answered`)
    : fail(`${failed.length} of ${replies.length} chats failed with ${failed[0]?.status}`);
}

/** The latency of chats one after the other. */
export async function measuresLatency(deployment: Deployment): Promise<Finding> {
  const replies = await deployment.baseline();
  const times = replies.filter(({ status }) => status === 200).map(({ durationMs }) => durationMs);
  if (times.length === 0) return fail('no chat was answered');
  const sorted = times.toSorted((a, b) => a - b);
  const at = (share: number): string =>
    `${Math.round(sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0)} ms`;
  return pass(`${times.length} chats: p50 ${at(0.5)}, p95 ${at(0.95)}, slowest ${at(1)}`);
}

/** A call without a key is refused. */
export async function refusesStrangers(deployment: Deployment): Promise<Finding> {
  if (isLoopback(deployment.url) && !deployment.hasCredentials) {
    return {
      state: 'yours',
      evidence: 'not checked on loopback without --key: it may be open there',
    };
  }
  const { status } = await deployment.chat({ isAnonymous: true });
  return status === 401 || status === 403
    ? pass(`a call without a key is answered with ${status}`)
    : fail(`a call without a key is answered with ${status}`);
}

/** Answers carry the limits of the caller. */
export async function showsLimits(deployment: Deployment): Promise<Finding> {
  const [reply] = await deployment.baseline();
  const policy = reply?.headers.get('ratelimit-policy');
  return policy ? pass(`RateLimit-Policy: ${policy}`) : fail('answers carry no RateLimit-Policy');
}

/** No foreign origin may call from a browser, and no page may frame or sniff an answer. */
export async function refusesOrigins(deployment: Deployment): Promise<Finding> {
  const { headers } = await deployment.get('/health', { origin: 'https://foreign.invalid' });
  const allowed = headers.get('access-control-allow-origin');
  if (allowed !== null) return fail(`allows the origin ${allowed}`);
  const missing = SECURITY_HEADERS.filter((name) => !headers.has(name));
  return missing.length === 0
    ? pass(`a foreign origin is not allowed; ${SECURITY_HEADERS.join(', ')}`)
    : fail(`no ${missing.join(', ')}`);
}

/** Front Door names each request that it forwards. */
export async function isBehindFrontDoor(deployment: Deployment): Promise<Finding> {
  const { headers } = await deployment.get('/health');
  return headers.has('x-azure-ref')
    ? pass('answers come through Front Door')
    : { state: 'yours', evidence: 'no Front Door in front of this address: `FRONT_DOOR=true`' };
}

/** The second of two equal questions is answered by the cache. */
export async function usesCache(deployment: Deployment): Promise<Finding> {
  const body = { message: `Repeat this id: ${crypto.randomUUID()}` };
  const first = await deployment.post(body);
  if (first.status !== 200) return fail(`a chat answered ${first.status}`);
  const { text } = await deployment.post(body);
  return /"cached":true/.test(text)
    ? pass('the second of two equal questions came from the cache')
    : fail('both of two equal questions went to the model: see `cache.ttl_seconds`');
}

/** The app takes the request id of its caller over. */
export async function sendsCorrelationIds(deployment: Deployment): Promise<Finding> {
  const id = crypto.randomUUID();
  const { headers } = await deployment.get('/ready', { 'x-request-id': id });
  return headers.get('x-request-id') === id
    ? pass('x-request-id is taken over and returned')
    : fail(`x-request-id was ${id}, and ${headers.get('x-request-id')} came back`);
}

/** A request of the wrong form is refused with the error body. */
export async function validatesInput(deployment: Deployment): Promise<Finding> {
  const { status, headers } = await deployment.post({ message: 1 });
  const type = headers.get('content-type') ?? '';
  return status === 400 && type.startsWith('application/problem+json')
    ? pass('a wrong request is answered with 400 and the error body')
    : fail(`a wrong request is answered with ${status} ${type}`);
}

/** The document of the API is served. */
export async function servesOpenApi(deployment: Deployment): Promise<Finding> {
  const { status, text } = await deployment.get('/openapi.json');
  return status === 200 && text.includes('"openapi"')
    ? pass('GET /openapi.json answers')
    : fail(`GET /openapi.json answered ${status}`);
}

/** Plain http is refused or redirected; loopback has no https. */
export async function redirectsToHttps({ url }: Deployment): Promise<Finding> {
  if (url.protocol !== 'https:') {
    return isLoopback(url) ? pass('loopback, without TLS') : fail('the address is not https');
  }
  const plain = new URL('/health', url);
  plain.protocol = 'http:';
  const signal = AbortSignal.timeout(PLAIN_HTTP_TIMEOUT_MS);
  const status = await fetch(plain, { redirect: 'manual', signal }).then(
    (response) => response.status,
    () => 0,
  );
  if (status === 0) return pass('plain http is refused');
  return status >= 300 && status < 400
    ? pass(`plain http is redirected with ${status}`)
    : fail(`plain http is answered with ${status}`);
}

/** Metrics are served in the format of Prometheus. */
export async function servesMetrics(deployment: Deployment): Promise<Finding> {
  const { status, text } = await deployment.get('/metrics');
  const families = text.match(/^# TYPE /gm)?.length ?? 0;
  return status === 200 && families > 0
    ? pass(`GET /metrics: ${families} families`)
    : fail(`GET /metrics answered ${status}`);
}

/** Telemetry that is configured is also accepted by its backend. */
export async function exportsTelemetry(deployment: Deployment): Promise<Finding> {
  const { sent, dropped } = await deployment.exports();
  if (dropped > 0) return fail(`${dropped} of ${sent + dropped} exports of telemetry were refused`);
  return sent > 0
    ? pass(`${sent} exports of telemetry accepted`)
    : {
        state: 'yours',
        evidence: 'nothing was exported: set APPLICATIONINSIGHTS_CONNECTION_STRING',
      };
}

/** TLS 1.2 or newer; loopback has none. */
export async function usesModernTls({ url }: Deployment): Promise<Finding> {
  if (url.protocol !== 'https:') {
    return isLoopback(url) ? pass('loopback, without TLS') : fail('the address is not https');
  }
  const { protocol, certificate } = await handshake(url);
  return protocol === 'TLSv1.2' || protocol === 'TLSv1.3'
    ? pass(`${protocol}, certificate until ${certificate.valid_to}`)
    : fail(`the server chose ${protocol}`);
}

function isLoopback({ hostname }: URL): boolean {
  return ['127.0.0.1', 'localhost', '[::1]'].includes(hostname);
}

function handshake(url: URL): Promise<{ protocol: string; certificate: PeerCertificate }> {
  return new Promise((resolve, reject) => {
    const socket: TLSSocket = connect(
      { host: url.hostname, port: Number(url.port || 443), servername: url.hostname },
      () => {
        const seen = {
          protocol: socket.getProtocol() ?? 'no TLS',
          certificate: socket.getPeerCertificate(),
        };
        socket.end();
        resolve(seen);
      },
    );
    socket.setTimeout(10_000, () => socket.destroy(new Error('no TLS handshake within 10 s')));
    socket.on('error', reject);
  });
}
