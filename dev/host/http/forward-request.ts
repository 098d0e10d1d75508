import { setTimeout as delay } from 'node:timers/promises';
import { LOCAL } from '../host-log.ts';
import type { Invocation, Outcome } from '../invoker.ts';
import type { HttpCall, HttpContext } from './http-context.ts';
import { openForward } from './open-forward.ts';

export interface ForwardContext {
  readonly invocation: Invocation;
  readonly context: HttpContext;
  readonly body: Buffer | undefined;
}

/** What becomes of an invocation whose request does not arrive. */
export const UNENDED =
  'Unless the app ends the invocation, it ends as on Azure: 2 s after the functionTimeout the worker is replaced with all its calls';

/** A failed function may have been answered all the same; its answer arrives within this time. */
const ANSWER_GRACE_MS = 100;

/**
 * Streams a request to the worker while the function runs. The answer comes through the proxy alone;
 * the function's result decides when it ends, and how long the client waits when there is none.
 */
export async function forwardRequest(call: HttpCall, parts: ForwardContext): Promise<void> {
  const { response, func } = call;
  const { invocation, context, body } = parts;
  const forward = openForward(call, {
    port: invocation.httpPort ?? 0,
    invocationId: invocation.id,
    body,
    context,
  });
  invocation.onOverdue(() => forward.abort());
  const outcomeSeen = invocation.outcome.then((outcome) => {
    const problem = hangReason(outcome);
    if (problem !== undefined) void warnUnlessAnswered(problem);
    return outcome;
  });
  const [outcome] = await Promise.all([outcomeSeen, answerWhenEnded()]);
  if (outcome.status === 'success') await writeOutputs(call, { outcome, context });

  async function warnUnlessAnswered(problem: string): Promise<void> {
    const grace = new AbortController();
    const isLate = delay(ANSWER_GRACE_MS, true, { signal: grace.signal }).catch(() => false);
    const isHanging = await Promise.race([forward.ended.then(() => false), isLate]);
    grace.abort();
    if (isHanging) warnOfHang(func.name, { problem, context });
  }

  async function answerWhenEnded(): Promise<void> {
    const how = await forward.ended;
    if (how === 'client disconnected') {
      context.log('debug', `Function.${func.name}`, 'The client has disconnected: 499');
      return;
    }
    if (how === 'body too large') {
      context.answers.send(response, 500, { headers: { Connection: 'close' } });
      return;
    }
    if (how === 'refused' || how === 'not forwarded') warnOfRefusal(func.name, { how, context });
    // The platform ends no call before the invocation has ended.
    const { status } = await invocation.outcome;
    const isAnswered = response.headersSent || status === 'success';
    if (isAnswered && (how === 'completed' || how === 'refused')) forward.finish();
    else context.answers.send(response, 500);
  }
}

function warnOfRefusal(
  name: string,
  { how, context }: { readonly how: 'refused' | 'not forwarded'; readonly context: HttpContext },
): void {
  const reason =
    how === 'refused'
      ? "the library's HTTP server in the worker refuses it"
      : 'a header value is not ASCII, and the forwarder of the platform refuses to send it';
  context.log(
    'error',
    LOCAL,
    `A request does not reach function '${name}', because ${reason}\n${UNENDED}`,
  );
}

function hangReason(outcome: Outcome): string | undefined {
  if (outcome.status === 'lost') return undefined;
  if (outcome.status === 'success') {
    return outcome.returnedNothing ? 'it returned nothing (undefined or null)' : undefined;
  }
  if (outcome.stage === 'answer') {
    return `its answer could not be sent (not an object, a bad status or header value, or a stream that failed): ${outcome.message}`;
  }
  return `it threw: ${outcome.message}`;
}

function warnOfHang(
  name: string,
  { problem, context }: { readonly problem: string; readonly context: HttpContext },
): void {
  context.log(
    'error',
    LOCAL,
    `Function '${name}' sends no answer as ${problem}\nWith HTTP streaming the caller now waits, as on Azure, for 240 s or until 2 s after the functionTimeout, and then gets 500 (a stream that has begun is cut)`,
  );
}

async function writeOutputs(
  { func }: HttpCall,
  parts: {
    readonly outcome: Extract<Outcome, { status: 'success' }>;
    readonly context: HttpContext;
  },
): Promise<void> {
  try {
    await parts.context.outputs.write(func, parts.outcome);
  } catch (error) {
    parts.context.log('error', `Function.${func.name}`, `An output failed: ${String(error)}`);
  }
}
