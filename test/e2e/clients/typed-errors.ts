import { APICallError } from 'ai';
import { APIError } from 'openai';
import { expect, it } from 'vitest';
import * as z from 'zod';
import type { ClientEnvironment } from './client-environment.ts';

/** A client in its own words, connected with this caller key. Both functions read to the end. */
export interface FailingClient {
  readonly ask: (text: string) => Promise<unknown>;
  readonly stream: (text: string) => Promise<unknown>;
}

interface TypedErrorsOptions {
  readonly service: () => ClientEnvironment;
  readonly open: (apiKey: string) => FailingClient;
  /** What the client throws for a stream that broke off, where it says less than the code. */
  readonly brokenStream?: { readonly message: unknown };
  /** The errors of some clients have the code alone. */
  readonly hasStatus?: boolean;
}

/** Errors with their status and code: 401, 400, 429, 503, and a stream that broke off. */
export function testTypedErrors({
  service,
  open,
  brokenStream,
  hasStatus = true,
}: TypedErrorsOptions): void {
  it('errors: 400, 401, 429 and 503 have their status and the code', async () => {
    const { apiKey, limitedKey } = service();
    await exhaustLimit(service());

    const failing = [
      open(apiKey).ask(' '),
      open('wrong').ask('Hi'),
      open(limitedKey).ask('Hi'),
      open(apiKey).ask('dev/quota Hi'),
    ];
    const errors = await Promise.all(failing.map(thrownBy));

    const known = [
      { status: 400, code: 'invalid_request' },
      { status: 401, code: 'unauthorized' },
      { status: 429, code: 'rate_limited' },
      { status: 503, code: 'upstream_quota' },
    ];
    expect(errors.map(describeError)).toMatchObject(
      hasStatus ? known : known.map(({ code }) => ({ code })),
    );
  });

  it('broken stream: throws when the model stops in the middle', async () => {
    const reading = open(service().apiKey).stream('dev/cut-5 Hello there, a longer text');

    const error = await thrownBy(reading);

    if (brokenStream === undefined) expect(describeError(error).code).toBe('upstream_interrupted');
    else expect(error).toMatchObject(brokenStream);
  });
}

function thrownBy(work: Promise<unknown>): Promise<unknown> {
  return work.then(
    () => 'no error',
    (error: unknown) => error,
  );
}

/** Sends requests until the limit of requests of this caller is reached. */
export async function exhaustLimit({
  baseURL,
  limitedKey,
  headers,
}: ClientEnvironment): Promise<void> {
  for (let round = 0; round < 100; round += 1) {
    const requests = Array.from({ length: 25 }, () =>
      fetch(`${baseURL}/models`, { headers: { ...headers, 'x-api-key': limitedKey } }),
    );
    if ((await Promise.all(requests)).some(({ status }) => status === 429)) return;
  }
}

const problemSchema = z.object({
  status: z.number().optional(),
  error: z.object({ code: z.string() }),
});
const codedSchema = z.object({ code: z.string() });

/** Status and code of an error, from where each client has them. */
function describeError(thrown: unknown): { readonly status?: number; readonly code?: string } {
  if (APICallError.isInstance(thrown)) return problemOf(thrown.responseBody ?? '');
  if (thrown instanceof APIError) return { status: thrown.status ?? 0, code: thrown.code ?? '' };
  const coded = codedSchema.safeParse(thrown).data;
  if (coded !== undefined) return coded;
  if (thrown instanceof Error) return problemOf(thrown.message);
  throw new Error(`Cannot read what was thrown: ${String(thrown)}`);
}

/** The body of an error response. */
function problemOf(text: string): { readonly status: number; readonly code: string } {
  const { status = 0, error } = problemSchema.parse(JSON.parse(text));
  return { status, code: error.code };
}
