import type { ResilientModel } from './resilient-model.part.ts';

/** A model that can be exchanged while it is used. */
export interface ReplaceableModel extends ResilientModel {
  /** Calls from now on go to the next model; calls in flight end where they began. */
  replace(next: ResilientModel): void;
}

export function createReplaceableModel(first: ResilientModel): ReplaceableModel {
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
