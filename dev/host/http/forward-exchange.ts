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
 * Streams a request to the worker while the function runs. The answer comes through the proxy alone:
 * what the function's result says only decides how long the caller waits when none comes.
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
  let hasClientLeft = false;
  const outcomeSeen = invocation.outcome.then((outcome) => {
    const problem = hangReason(outcome);
    if (problem !== undefined && !hasClientLeft) warnOfHang(func.name, { problem, context });
    return outcome;
  });
  const [outcome] = await Promise.all([outcomeSeen, answerWhenEnded()]);
  if (outcome.status === 'success') await writeOutputs(exchange, { outcome, context });

  async function answerWhenEnded(): Promise<void> {
    const how = await forward.ended;
    if (how === 'client left') {
      hasClientLeft = true;
      context.log('debug', `Function.${func.name}`, 'The client has left: 499');
    } else if (how === 'body too large') {
      context.answers.send(response, 500, { headers: { Connection: 'close' } });
    } else if (how === 'cut') {
      // A forward that fails is not told to the caller before the function has ended.
      await invocation.outcome;
      context.answers.send(response, 500);
    }
  }
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
