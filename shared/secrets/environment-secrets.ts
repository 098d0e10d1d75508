import type { RequiredSecret, Secrets, UnusableReason } from './secrets.ts';

export interface EnvironmentSecretsOptions {
  readonly required: readonly RequiredSecret[];
  readonly environment: Readonly<Record<string, string | undefined>>;
}

/** Secrets from the environment, for deployments without a vault. They never change. */
export function createEnvironmentSecrets(options: EnvironmentSecretsOptions): Secrets {
  const values = readEnvironmentSecrets(options);
  return {
    get: (name) => values.get(name),
    sourceOf: (name) => (values.has(name) ? 'environment' : 'none'),
    missingReason: () => undefined,
    loaded: async () => undefined,
    refreshNow: async () => false,
    onChange: () => () => undefined,
    state: () => ({ isFailing: false }),
    close: () => undefined,
  };
}

/** The usable values of the environment variables, by secret name. */
export function readEnvironmentSecrets({
  required,
  environment,
}: EnvironmentSecretsOptions): ReadonlyMap<string, string> {
  const values = new Map<string, string>();
  for (const { name, variable } of required) {
    const { value } = normalizeSecret(variable === undefined ? undefined : environment[variable]);
    if (value !== undefined) values.set(name, value);
  }
  return values;
}

/** A vault stores at most 25 kB; keys and addresses are much shorter. */
const MAX_SECRET_BYTES = 24 * 1024;

export type NormalizedSecret =
  | { readonly value: string }
  | { readonly value: undefined; readonly reason: UnusableReason };

/**
 * Trims a value: files and portals add line ends, which HTTP headers must not contain. An empty
 * result counts as missing.
 */
export function normalizeSecret(raw: string | undefined): NormalizedSecret {
  const value = raw?.trim() ?? '';
  if (value === '') return { value: undefined, reason: 'empty' };
  if (Buffer.byteLength(value) > MAX_SECRET_BYTES) return { value: undefined, reason: 'too large' };
  return { value };
}
