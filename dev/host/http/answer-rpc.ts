import type { Invocation } from '../invoker.ts';
import type { RpcCookie, RpcData, RpcHttp, WorkerResult } from '../worker/messages.ts';
import type { HttpCall, HttpContext } from './http-context.ts';

/** Sends the answer of a worker that does not stream: whole, after the outputs are written. */
export async function answerRpc(
  { response, func }: HttpCall,
  { invocation, context }: { readonly invocation: Invocation; readonly context: HttpContext },
): Promise<void> {
  const { answers, outputs, log } = context;
  const outcome = await invocation.outcome;
  if (outcome.status === 'lost') return answers.send(response, 500);
  if (outcome.status === 'failure') {
    log('error', `Function.${func.name}`, outcome.message);
    return answers.send(response, 500);
  }
  try {
    await outputs.write(func, outcome);
    sendResult(outcome);
  } catch (error) {
    log('error', `Function.${func.name}`, String(error));
    answers.send(response, 500);
  }

  function sendResult({ returnValue }: Extract<WorkerResult, { status: 'success' }>): void {
    const http = returnValue?.http;
    if (http === undefined) return answers.send(response, 204);
    const body = bytesOf(http.body);
    response.writeHead(
      Number(http.statusCode ?? '200'),
      answers.withCustomHeaders(headersOf(http)),
    );
    if (body.length > 0) response.write(body);
    response.end();
  }
}

function headersOf({ headers = {}, cookies = [] }: RpcHttp): string[] {
  const cookieHeaders = cookies.flatMap((cookie) => ['Set-Cookie', formatCookie(cookie)]);
  return [...Object.entries(headers).flat(), ...cookieHeaders];
}

function bytesOf(body: RpcData | null | undefined): Uint8Array {
  if (body?.bytes !== undefined) return body.bytes;
  return Buffer.from(body?.string ?? body?.json ?? '');
}

function formatCookie(cookie: RpcCookie): string {
  const expires = cookie.expires?.value?.seconds;
  const parts = [
    `${cookie.name ?? ''}=${encodeURIComponent(cookie.value ?? '')}`,
    expires === undefined ? '' : `expires=${new Date(expires * 1_000).toUTCString()}`,
    cookie.maxAge?.value === undefined ? '' : `max-age=${cookie.maxAge.value}`,
    cookie.domain === undefined ? '' : `domain=${cookie.domain.value}`,
    `path=${cookie.path?.value ?? '/'}`,
    cookie.secure?.value === true ? 'secure' : '',
    sameSiteOf(cookie.sameSite),
    cookie.httpOnly?.value === true ? 'httponly' : '',
  ];
  return parts.filter(Boolean).join('; ');
}

function sameSiteOf(value: string | undefined): string {
  if (value === 'lax' || value === 'strict') return `samesite=${value}`;
  return value === 'explicitNone' ? 'samesite=none' : '';
}
