import type { Secrets } from '../secrets/secrets.ts';
import type { SettingSource } from './setting-source.ts';
import type { Variable } from './variables.ts';

export type Environment = Readonly<Record<string, string | undefined>>;

/** Where the value of a variable may be. */
export interface VariablePlaces {
  readonly environment: Environment;
  /** Absent while a vault that is named has not been asked. */
  readonly secrets?: Secrets | undefined;
}

export interface FoundVariable {
  readonly text: string | undefined;
  readonly source: SettingSource;
}

/** The text of a variable: from the vault, else from the environment, else its default. */
export function findVariable(variable: Variable, places: VariablePlaces): FoundVariable {
  const { name, vaultName } = variable;
  const { environment, secrets } = places;
  if (vaultName !== undefined && secrets?.sourceOf(vaultName) === 'key-vault') {
    return { text: secrets.get(vaultName), source: 'Key Vault' };
  }
  const text = textOf(environment, name);
  if (text !== '') return { text, source: 'environment' };
  return { text: variable.default, source: variable.default === undefined ? 'unset' : 'default' };
}

/** An empty or blank value counts as not set: that is how the portal and shells unset things. */
export function textOf(environment: Environment, name: string): string {
  return Object.hasOwn(environment, name) ? (environment[name]?.trim() ?? '') : '';
}
