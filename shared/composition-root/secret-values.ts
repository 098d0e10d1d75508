import { textOf, type Environment } from '../config/find-variable.ts';
import { parseFallbacks } from '../config/model-fallbacks.ts';
import type { Secrets } from '../secrets/secrets.ts';
import { wantedSecrets } from '../config/read-variables.ts';
import { VARIABLES, type Variable } from '../config/variables.ts';

/** The part of a storage connection string that opens the account. */
const ACCOUNT_KEY = /AccountKey=([^;]+)/;

/** Every secret that this process holds at the moment, to be hidden wherever text leaves it. */
export function secretValues(environment: Environment, secrets?: Secrets): readonly string[] {
  const variables = Object.values<Variable>(VARIABLES).filter(({ secret }) => secret === true);
  const texts = variables.map(({ name }) => textOf(environment, name));
  const fallbacks = textOf(environment, VARIABLES.modelFallbacks.name);
  const keys = (parseFallbacks(fallbacks === '' ? '[]' : fallbacks) ?? []).map(
    ({ apiKey }) => apiKey,
  );
  const known = wantedSecrets(fallbacks === '' ? undefined : fallbacks);
  const values = known.map(({ name }) => secrets?.get(name));
  const accountKeys = texts.map((text) => ACCOUNT_KEY.exec(text)?.[1]);
  const all = [...texts, ...keys, ...values, ...accountKeys];
  return [...new Set(all)].filter((value): value is string => Boolean(value));
}
