import type { ResilientModel } from './resilient-model.ts';

/** A model that can be replaced while calls are in flight. */
export interface SwappableModel extends ResilientModel {
  /** New calls use `next`; calls in flight finish on the model that they started on. */
  replace(next: ResilientModel): void;
}

export function createSwappableModel(first: ResilientModel): SwappableModel {
  let current = first;
  return {
    complete: (request, call) => current.complete(request, call),
    stream: (request, call) => current.stream(request, call),
    endpoints: () => current.endpoints(),
    replace(next) {
      current = next;
    },
  };
}

/**
 * The model before any endpoint is configured: every call fails.
 *
 * @param explain throws the error that callers receive
 */
export function createUnconfiguredModel(explain: () => void): ResilientModel {
  function fail(): never {
    explain();
    throw new TypeError('Cannot call the unconfigured model: it must be replaced first');
  }
  return {
    complete: async () => fail(),
    stream: () => ({ [Symbol.asyncIterator]: () => ({ next: async () => fail() }) }),
    endpoints: () => [],
  };
}
