import type { ResilientModel } from './resilient-model.part.ts';

/**
 * Stands in for the model while nobody has said which one it is.
 * @param explain throws what callers may see; returns once there is a model
 */
export function createMissingModel(explain: () => void): ResilientModel {
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
