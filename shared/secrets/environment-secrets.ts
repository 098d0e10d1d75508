import type { Secrets, RequiredSecret } from './secrets.ts';

export interface EnvironmentSecretsOptions {
  readonly wanted: readonly RequiredSecret[];
  readonly environment: Readonly<Record<string, string | undefined>>;
}

/** Secrets where no vault is named: what the environment holds, which never changes. */
export function createEnvironmentSecrets(options: EnvironmentSecretsOptions): Secrets {
  const values = readVariables(options);
  return {
    get: (name) => values.get(name),
    sourceOf: (name) => (values.has(name) ? 'environment' : 'none'),
    whyMissing: () => undefined,
    loaded: async () => undefined,
    refreshNow: async () => false,
    onChange: () => () => undefined,
    state: () => ({ failing: false }),
    close: () => undefined,
  };
}

/** The values of those secrets whose variable holds a usable one. */
export function readVariables({
  wanted,
  environment,
}: EnvironmentSecretsOptions): ReadonlyMap<string, string> {
  const values = new Map<string, string>();
  for (const { name, variable } of wanted) {
    const { value } = normalizeSecret(variable === undefined ? undefined : environment[variable]);
    if (value !== undefined) values.set(name, value);
  }
  return values;
}

/** A vault keeps at most 25 kB; no key or address of this product comes near it. */
const MAX_SECRET_BYTES = 24 * 1024;

export type NormalizedSecret =
  | { readonly value: string }
  | { readonly value: undefined; readonly reason: 'empty' | 'too large' };

/**
 * Surrounding white space goes, line ends included: files and portals add them, and a header that
 * holds one is refused. What is empty then counts as missing.
 */
export function normalizeSecret(raw: string | undefined): NormalizedSecret {
  const value = raw?.trim() ?? '';
  if (value === '') return { value: undefined, reason: 'empty' };
  if (Buffer.byteLength(value) > MAX_SECRET_BYTES) return { value: undefined, reason: 'too large' };
  return { value };
}
