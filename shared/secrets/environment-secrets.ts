import type { Secrets, WantedSecret } from './secrets.ts';
import { usableValue } from './usable-value.ts';

export interface EnvironmentSecretsOptions {
  readonly wanted: readonly WantedSecret[];
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
    const { value } = usableValue(variable === undefined ? undefined : environment[variable]);
    if (value !== undefined) values.set(name, value);
  }
  return values;
}
