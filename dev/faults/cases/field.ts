import { sendRequest } from '../send-request.ts';
import { custom, type FaultCase, type FaultFamily, type Mode, scripted } from '../fault-case.ts';
import { type FaultEnvironment, startFaultEnvironment } from '../fault-environment.ts';
import { newMarker } from '../run-case.ts';
import { FAST_RETRIES } from '../settings.ts';
import { clientRequests } from './client-requests.ts';

const SERVED = { outcome: 'answer', calls: 1 } as const;
const INVALID = { outcome: 'upstream_invalid', calls: 2 } as const;
/** Requests in a row on connections that the endpoint resets. */
const STALE_REQUESTS = 20;

/** F1 to F22: what servers, proxies and clients of the field were seen to send. */
export const field: FaultFamily = {
  name: 'field',
  settings: FAST_RETRIES,
  lanes: 2,
  cases: [
    ...[421, 499].map((status) =>
      scripted({
        id: 'F1',
        script: `dev/${status}-then-ok`,
        expected: { outcome: 'answer', calls: 2 },
      }),
    ),
    scripted({
      id: 'F1',
      script: 'dev/499-always',
      expected: { outcome: 'upstream_unavailable', calls: 3, retryAfterSeconds: [1, 300] },
    }),
    stream('F2', { script: 'dev/sse-wordless', expected: SERVED }),
    stream('F2', { script: 'dev/sse-after-finish', expected: SERVED }),
    staleConnections(),
    scripted({
      id: 'F4',
      script: 'dev/refusal-empty',
      expected: { ...SERVED, contains: 'I cannot' },
    }),
    // No text was sent before the tool call, so a stream is retried too.
    scripted({ id: 'F4', script: 'dev/unrequested-tool-call', expected: INVALID }),
    ...['gzip', 'br', 'deflate'].map((encoding) =>
      scripted({ id: 'F5', script: `dev/encoded-${encoding}`, expected: SERVED }),
    ),
    scripted({
      id: 'F6',
      script: 'dev/sse-split-surrogate',
      expected: { ...SERVED, contains: 'a 🦊 here' },
    }),
    withSettings('F7', {
      injected: 'an endpoint setting that ends in /openai/v1/chat/completions',
      settings: ({ upstreamUrl }) => ({
        AZURE_OPENAI_ENDPOINT: `${upstreamUrl}/openai/v1/chat/completions`,
      }),
    }),
    scripted({ id: 'F8', script: 'dev/cached-tokens', expected: SERVED }),
    withSettings('F9', {
      injected: 'a proxy that does not answer, and a loopback endpoint',
      settings: ({ upstreamUrl }) => ({
        AZURE_OPENAI_ENDPOINT: upstreamUrl,
        HTTP_PROXY: 'http://127.0.0.1:9',
        https_proxy: 'http://127.0.0.1:9',
        ALL_PROXY: 'http://127.0.0.1:9',
      }),
    }),
    stream('F10', { script: 'dev/never-closing', expected: SERVED }),
    ...['eos', 'end_turn', 'STOP', 'max_tokens'].map((reason) =>
      scripted({ id: 'F11', script: `dev/finish-${reason}`, expected: SERVED }),
    ),
    scripted({ id: 'F11', script: 'dev/finish-tired', expected: { ...INVALID, calls: [1, 2] } }),
    ...clientRequests,
  ],
};

type Part = Pick<Parameters<typeof scripted>[0], 'script' | 'expected'>;

function stream(id: string, part: Part): FaultCase {
  return scripted({ id, modes: ['stream'], ...part });
}

interface SettingsCase {
  readonly injected: string;
  readonly settings: (environment: FaultEnvironment) => Readonly<Record<string, string>>;
}

/** One question to an app with these settings, whose endpoint is that of the first environment. */
function withSettings(id: string, { injected, settings }: SettingsCase): FaultCase {
  return custom({
    id,
    injected,
    promised: 'answer, 1 calls',
    async run(environment: FaultEnvironment, mode: Mode) {
      const own = await startFaultEnvironment({
        endpoints: 1,
        settings: { ...FAST_RETRIES, ...settings(environment) },
      });
      try {
        const marker = newMarker();
        const result = await sendRequest(own.url, { message: `dev/instant ${marker}`, mode });
        return {
          happened: `${result.outcome}, ${result.status}`,
          calls: environment.callsWith(marker).length,
          received: [result.raw, ...own.log],
          problems: result.outcome === 'answer' ? [] : [`ended as ${result.outcome}`],
        };
      } finally {
        await own.stop();
      }
    },
  });
}

function staleConnections(): FaultCase {
  return custom({
    id: 'F3',
    injected: 'every second request of a connection is reset without a byte',
    promised: `${STALE_REQUESTS} of ${STALE_REQUESTS} answers, no attempt is spent`,
    own: { AGENT__MODEL__MAX_ATTEMPTS: '1', AGENT__MODEL__RETRY_BUDGET_RATIO: '0' },
    async run(environment: FaultEnvironment, mode: Mode) {
      const marker = newMarker();
      const all = [];
      for (let i = 0; i < STALE_REQUESTS; i += 1) {
        const message = `dev/stale-connections ${i} ${marker}`;
        all.push(await sendRequest(environment.url, { message, mode }));
      }
      const answers = all.filter(({ outcome }) => outcome === 'answer').length;
      return {
        happened: `${answers} answers`,
        calls: environment.callsWith(marker).length,
        received: all.map(({ raw }) => raw),
        problems: answers === STALE_REQUESTS ? [] : [`${STALE_REQUESTS - answers} requests failed`],
      };
    },
  });
}
