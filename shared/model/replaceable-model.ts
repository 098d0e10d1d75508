import type { ResilientModel } from './resilient-model.ts';

/** A model that can be exchanged while it is used. */
export interface SwappableModel extends ResilientModel {
  /** Calls from now on go to the next model; calls in flight end where they began. */
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
 * Stands in for the model while nobody has said which one it is.
 * @param explain throws what callers may see; returns once there is a model
 */
export function createUnconfiguredModel(explain: () => void): ResilientModel {
  function refuse(): never {
    explain();
    throw new TypeError('Cannot call the model that is missing: it must have been replaced');
  }
  return {
    complete: async () => refuse(),
    stream: () => ({ [Symbol.asyncIterator]: () => ({ next: async () => refuse() }) }),
    endpoints: () => [],
  };
}
