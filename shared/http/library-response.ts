import { app, HttpResponse } from '@azure/functions';
import { textsOf } from './sse.ts';

/** Must not have a body; the constructor of the library leaves it out too. */
const WITHOUT_BODY: ReadonlySet<number> = new Set([204, 205, 304]);

export type ResultHook = Pick<typeof app.hook, 'postInvocation'>;

/**
 * Passes responses to the library in the form that it writes to the socket. The library makes each
 * response a `Response` of fetch first, with its own headers and a web stream, only to read both
 * back: a tenth of the CPU time of a short request. It takes an object of its class as it is, and
 * reads `status`, `headers.get`, `headers.entries`, `cookies` and `body.values` of it; a test fails
 * if it reads anything else. What this does not know is left to the library.
 *
 * Call it while triggers register.
 */
export function sendResponsesDirectly(hook: ResultHook = app.hook): void {
  hook.postInvocation((context) => {
    context.result = toLibraryResponse(context.result);
  });
}

/** The result of an invocation as the library writes it, or unchanged. */
export function toLibraryResponse(result: unknown): unknown {
  if (!isPlainResponse(result)) return result;
  const { status = 200, headers = {}, body } = result;
  const chunks = WITHOUT_BODY.has(status) ? [] : chunksOf(body);
  if (chunks === undefined) return result;
  return Object.create(HttpResponse.prototype, {
    status: { value: status },
    headers: { value: new Map(Object.entries(headers)) },
    cookies: { value: [] },
    body: { value: { values: () => chunks } },
  });
}

interface PlainResponse {
  readonly status?: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: unknown;
}

const KNOWN: ReadonlySet<string> = new Set(['status', 'headers', 'body']);

function isPlainResponse(result: unknown): result is PlainResponse {
  if (typeof result !== 'object' || result === null) return false;
  if (Object.getPrototypeOf(result) !== Object.prototype) return false;
  return Object.keys(result).every((name) => KNOWN.has(name));
}

/** Undefined for a body that only the library can read. */
function chunksOf(body: unknown): Iterable<string> | AsyncIterable<string> | undefined {
  if (body === undefined || body === null) return [];
  return typeof body === 'string' ? [body] : textsOf(body);
}
