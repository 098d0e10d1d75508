import { ServiceError } from '../errors.ts';
import type { Model, ModelEvent, ModelRequest } from './model.ts';

interface CapacityLimit {
  /** Tokens per minute that the endpoint admits. */
  readonly tokensPerMinute: number;
  /** Upper estimate of the tokens of a request, including its output. */
  readonly estimate: (request: ModelRequest) => number;
}

/**
 * Refuses a request that can never fit the capacity of the endpoint, before any call. The endpoint
 * would answer 429 to it every time, and count that against the other callers.
 */
export function limitToCapacity<M extends Model>(model: M, limit: CapacityLimit): M {
  const { tokensPerMinute, estimate } = limit;

  /** @throws ServiceError context_too_long */
  function assertFits(request: ModelRequest): void {
    const tokens = estimate(request);
    if (tokens <= tokensPerMinute) return;
    throw new ServiceError(
      'context_too_long',
      `Cannot take a request of about ${tokens} tokens: the model takes ${tokensPerMinute} per ` +
        'minute, the answer included',
    );
  }

  async function* stream(
    ...[request, call]: Parameters<Model['stream']>
  ): AsyncGenerator<ModelEvent> {
    assertFits(request);
    yield* model.stream(request, call);
  }

  return {
    ...model,
    async complete(request, call) {
      assertFits(request);
      return model.complete(request, call);
    },
    stream,
  };
}
