import { LOCAL } from '../host-log.ts';
import type { Invocation, Outcome } from '../invoker.ts';
import type { Exchange, HttpContext } from './http-context.ts';
import { openForward } from './open-forward.ts';

export interface ForwardParts {
  readonly invocation: Invocation;
  readonly context: HttpContext;
  readonly body: Buffer | undefined;
}

/**
 * Streams a request to the worker while the function runs. The answer comes through the proxy alone;
 * the function's result decides when it ends, and how long the client waits when there is none.
 */
export async function forwardExchange(exchange: Exchange, parts: ForwardParts): Promise<void> {
  const { response, func } = exchange;
  const { invocation, context, body } = parts;
  const forward = openForward(exchange, {
    port: invocation.httpPort ?? 0,
    invocationId: invocation.id,
    body,
    context,
  });
  invocation.onOverdue(() => forward.abort());
  let isDisconnected = false;
  const outcomeSeen = invocation.outcome.then((outcome) => {
    const problem = hangReason(outcome);
    if (problem !== undefined && !isDisconnected) warnOfHang(func.name, { problem, context });
    return outcome;
  });
  const [outcome] = await Promise.all([outcomeSeen, answerWhenEnded()]);
  if (outcome.status === 'success') await writeOutputs(exchange, { outcome, context });

  async function answerWhenEnded(): Promise<void> {
    const how = await forward.ended;
    if (how === 'client disconnected') {
      isDisconnected = true;
      context.log('debug', `Function.${func.name}`, 'The client has disconnected: 499');
      return;
    }
    if (how === 'body too large') {
      context.answers.send(response, 500, { headers: { Connection: 'close' } });
      return;
    }
    if (how === 'refused' || how === 'not forwarded') warnOfRefusal(func.name, { how, context });
    // The platform ends no exchange before the invocation has ended.
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
    `A request does not reach function '${name}', because ${reason}\nUnless the app ends the invocation, the client now waits, as on Azure, and 2 s after the functionTimeout the worker is replaced with all its calls`,
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
  { func }: Exchange,
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
