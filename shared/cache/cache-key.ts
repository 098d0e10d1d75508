import { hash } from 'node:crypto';
import { canonicalJson } from './canonical-json.ts';

/** Everything that an answer depends on. What is missing here would leak into other answers. */
export interface CacheKeyParts {
  /** Whose answer it is: no two callers ever share one. */
  readonly callerId: string;
  /** Endpoint and model, as configured. */
  readonly model: string;
  /** Whatever else is sent to the model: temperature, output bound, response format, seed. */
  readonly parameters: Readonly<Record<string, unknown>>;
  /** Changes with every change of instructions, guardrails or post-processing. */
  readonly promptVersion: string;
  readonly tools: readonly unknown[];
  /** The whole conversation, the instructions included. */
  readonly messages: readonly unknown[];
}

/** Changes with the shape of the key or of an entry, so that old entries are never read as new. */
const FORMAT = 1;

/** SHA-256 over canonical JSON: field borders cannot be forged, and the store learns nothing. */
export function cacheKey(parts: CacheKeyParts): string {
  const { callerId, model, parameters, promptVersion, tools, messages } = parts;
  const text = canonicalJson({
    format: FORMAT,
    callerId,
    model,
    parameters,
    promptVersion,
    tools,
    messages,
  });
  return hash('sha256', text, 'base64url');
}
