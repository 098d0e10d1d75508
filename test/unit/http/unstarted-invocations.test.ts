import { IncomingMessage, ServerResponse } from 'node:http';
import { Socket } from 'node:net';
import { InvocationContext, LogHookContext, type LogHookHandler } from '@azure/functions';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import {
  markStarted,
  startingInvocation,
  watchUnstartedInvocations,
} from '../../../shared/http/worker-http-server.ts';

const LIMIT_MS = 10_000;

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

function createResponse(): ServerResponse {
  return new ServerResponse(new IncomingMessage(new Socket()));
}

function watching() {
  const givenUp: [string, ServerResponse | undefined][] = [];
  let logHook: LogHookHandler = () => undefined;
  const watch = watchUnstartedInvocations(
    {
      log(handler) {
        logHook = handler;
        return { [Symbol.dispose]: () => undefined, dispose: () => undefined };
      },
    },
    (id, response) => void givenUp.push([id, response]),
  );
  const log = (message: string): void =>
    logHook(new LogHookContext({ message, category: 'system' }));
  const announce = (id: string): void =>
    log(`Worker ${crypto.randomUUID()} received FunctionInvocationRequest with invocationId ${id}`);
  return { givenUp, watch, log, announce };
}

describe('an invocation whose function does not start', () => {
  it('is ended once, with its request, after 10 s', () => {
    const { givenUp, watch } = watching();
    const id = crypto.randomUUID();
    const response = createResponse();

    watch(id, response);
    vi.advanceTimersByTime(LIMIT_MS - 1_000);
    const early = [...givenUp];
    vi.advanceTimersByTime(LIMIT_MS);

    expect(early).toEqual([]);
    expect(givenUp).toEqual([[id, response]]);
  });

  it('is ended without a request when the worker announced it and none arrived', () => {
    const { givenUp, announce } = watching();
    const id = crypto.randomUUID();

    announce(id);
    vi.advanceTimersByTime(LIMIT_MS);

    expect(givenUp).toEqual([[id, undefined]]);
  });

  it('is one invocation when it is announced and its request arrives', () => {
    const { givenUp, watch, announce } = watching();
    const id = crypto.randomUUID();
    const response = createResponse();

    announce(id);
    watch(id, response);
    vi.advanceTimersByTime(2 * LIMIT_MS);

    expect(givenUp).toEqual([[id, response]]);
  });

  it('is not ended because of other log lines', () => {
    const { givenUp, log } = watching();

    log(`received FunctionInvocationRequest with invocationId ${crypto.randomUUID()}`);
    vi.advanceTimersByTime(LIMIT_MS);

    expect(givenUp).toEqual([]);
  });

  it('is tracked by its request alone where the worker has no log hook', () => {
    const givenUp: string[] = [];
    const id = crypto.randomUUID();
    const watch = watchUnstartedInvocations(
      {
        log() {
          throw new Error('Log hooks require Azure Functions Host v4.34 or higher.');
        },
      },
      (given) => void givenUp.push(given),
    );

    watch(id, createResponse());
    vi.advanceTimersByTime(LIMIT_MS);

    expect(givenUp).toEqual([id]);
  });
});

describe('an invocation whose function has started', () => {
  it('is never ended', () => {
    const { givenUp, watch, announce } = watching();
    const id = crypto.randomUUID();

    announce(id);
    watch(id, createResponse());
    markStarted(id);
    vi.advanceTimersByTime(2 * LIMIT_MS);

    expect(givenUp).toEqual([]);
  });

  it('has started when its wrapped handler is called, which gets its arguments', async () => {
    const { givenUp, announce } = watching();
    const context = new InvocationContext({ invocationId: crypto.randomUUID() });
    const handler = startingInvocation(async (input: string, { invocationId }: InvocationContext) =>
      [input, invocationId].join(' '),
    );

    announce(context.invocationId);
    const result = await handler('message', context);
    vi.advanceTimersByTime(2 * LIMIT_MS);

    expect(result).toBe(`message ${context.invocationId}`);
    expect(givenUp).toEqual([]);
  });
});
