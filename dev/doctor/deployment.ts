import { setTimeout as delay } from 'node:timers/promises';
import { connect, type PeerCertificate, type TLSSocket } from 'node:tls';
import * as z from 'zod';
import { fail, pass, type Finding } from './finding.ts';

/** How long one request may take; an answer of a model takes seconds. */
const REQUEST_TIMEOUT_MS = 90_000;
/** Enough to see an outlier, and cheap. */
const BASELINE_CHATS = 10;
/** The exporter sends every 5 s. */
const EXPORT_WAIT_MS = 8_000;
const EXPORT_POLL_MS = 1_000;

export interface Reply {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
  readonly durationMs: number;
}

/** A running app, as its callers see it. */
export interface Deployment {
  readonly url: URL;
  get(path: string, headers?: Readonly<Record<string, string>>): Promise<Reply>;
  /** Asks the model a question that no cache can answer. */
  chat(options?: { readonly isAnonymous?: boolean }): Promise<Reply>;
  /** Chats one after the other, measured once for every box that reads them. */
  baseline(): Promise<readonly Reply[]>;
  /** Exports of telemetry so far; waits for the first one. */
  exports(): Promise<{ readonly sent: number; readonly dropped: number }>;
  readonly hasKey: boolean;
}

/** A client of the app at the URL; the key is sent as a function key. */
export function createDeployment(url: URL, key: string | undefined): Deployment {
  let measured: Promise<readonly Reply[]> | undefined;
  const credentials = key === undefined ? {} : { 'x-functions-key': key };

  async function call(path: string, init: RequestInit): Promise<Reply> {
    const startedAt = performance.now();
    const response = await fetch(new URL(path, url), {
      ...init,
      redirect: 'manual',
      signal: AbortSignal.timeout(REQUEST_TIMEOUT_MS),
    });
    const text = await response.text();
    const { status, headers } = response;
    return { status, headers, text, durationMs: performance.now() - startedAt };
  }
  function chat({ isAnonymous = false } = {}): Promise<Reply> {
    return call('/api/chat', {
      method: 'POST',
      headers: {
        'content-type': 'application/json',
        'cache-control': 'no-store',
        ...(isAnonymous ? {} : credentials),
      },
      body: JSON.stringify({ message: `Repeat this id: ${crypto.randomUUID()}` }),
    });
  }
  async function measure(): Promise<readonly Reply[]> {
    const replies: Reply[] = [];
    for (let index = 0; index < BASELINE_CHATS; index += 1) replies.push(await chat());
    return replies;
  }
  async function waitForExports() {
    await (measured ??= measure());
    const deadline = Date.now() + EXPORT_WAIT_MS;
    for (;;) {
      const { text } = await call('/metrics', { headers: credentials });
      const counts = { sent: exportsWith(text, 'sent'), dropped: exportsWith(text, 'dropped') };
      if (counts.sent + counts.dropped > 0 || Date.now() > deadline) return counts;
      await delay(EXPORT_POLL_MS);
    }
  }
  let exported: ReturnType<typeof waitForExports> | undefined;
  return {
    url,
    hasKey: key !== undefined,
    get: (path, headers = {}) => call(path, { headers: { ...credentials, ...headers } }),
    chat,
    baseline: () => (measured ??= measure()),
    exports: () => (exported ??= waitForExports()),
  };
}

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
  if (isLoopback(deployment.url) && !deployment.hasKey) {
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

/** No foreign origin may call from a browser. */
export async function refusesOrigins(deployment: Deployment): Promise<Finding> {
  const { headers } = await deployment.get('/health', { origin: 'https://foreign.invalid' });
  const allowed = headers.get('access-control-allow-origin');
  return allowed === null ? pass('a foreign origin is not allowed') : fail(`allows ${allowed}`);
}

const SECURITY_HEADERS = ['x-content-type-options', 'x-frame-options', 'content-security-policy'];

/** Answers carry the security headers of host.json. */
export async function sendsSecurityHeaders(deployment: Deployment): Promise<Finding> {
  const { headers } = await deployment.get('/health');
  const missing = SECURITY_HEADERS.filter((name) => !headers.has(name));
  return missing.length === 0
    ? pass(SECURITY_HEADERS.join(', '))
    : fail(`no ${missing.join(', ')}`);
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

function exportsWith(text: string, outcome: string): number {
  const pattern = new RegExp(
    `^agent_telemetry_exports_total\\{[^}]*outcome="${outcome}"[^}]*\\} (\\d+)`,
    'm',
  );
  return Number(pattern.exec(text)?.[1] ?? 0);
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
