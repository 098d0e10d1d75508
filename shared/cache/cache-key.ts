import { hash } from 'node:crypto';

/** Everything that a response depends on. A missing part would serve wrong responses. */
export interface CacheKeyInput {
  /** Scope of the response: callers never share entries. */
  readonly callerId: string;
  /** Endpoints and models, as configured. */
  readonly model: string;
  /** All other model parameters: temperature, output bound, response format, seed. */
  readonly parameters: Readonly<Record<string, unknown>>;
  /** Changes with every change of instructions, guardrails or post-processing. */
  readonly promptVersion: string;
  readonly tools: readonly unknown[];
  /** The whole conversation, including the instructions. */
  readonly messages: readonly unknown[];
}

/** Increased with every change to the shape of keys or entries, so that old entries are ignored. */
const FORMAT = 2;

/** SHA-256 over canonical JSON: field boundaries cannot be forged and keys reveal no content. */
export function cacheKey(parts: CacheKeyInput): string {
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

/**
 * Serialises equal values to equal text regardless of field order: sorted keys, no white space,
 * undefined fields omitted. Different values never produce the same text.
 * @throws TypeError for values that JSON cannot represent exactly
 */
export function canonicalJson(value: unknown): string {
  if (value === null || typeof value === 'boolean' || typeof value === 'string') {
    return JSON.stringify(value);
  }
  if (typeof value === 'number' && Number.isFinite(value)) return JSON.stringify(value);
  if (Array.isArray(value)) return `[${value.map(canonicalJson).join(',')}]`;
  if (isPlainObject(value)) {
    const fields = Object.entries(value)
      .filter(([, field]) => field !== undefined)
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([name, field]) => `${JSON.stringify(name)}:${canonicalJson(field)}`);
    return `{${fields.join(',')}}`;
  }
  throw new TypeError(
    `Cannot write canonical JSON as every value must be plain: current type is ${typeof value}`,
  );
}

function isPlainObject(value: unknown): value is object {
  if (typeof value !== 'object' || value === null) return false;
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === Object.prototype || prototype === null;
}
