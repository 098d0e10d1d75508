import type { ConfigProblem } from './config-error.ts';
import type { Secrets, WantedSecret } from './secrets.ts';
import type { SettingSource } from './setting-source.ts';
import { VARIABLES, type Variable } from './variables.ts';

/** Variables with a default are always there; the others are `undefined` when not set. */
export type VariableSettings = {
  readonly [K in keyof typeof VARIABLES]: (typeof VARIABLES)[K] extends { default: string }
    ? string
    : string | undefined;
};

export type Environment = Readonly<Record<string, string | undefined>>;

export interface VariableReading {
  /** Complete only where there is no problem. */
  readonly settings: VariableSettings;
  /** By the name of the variable. */
  readonly sources: ReadonlyMap<string, SettingSource>;
  readonly problems: readonly ConfigProblem[];
}

/** The secrets that the vault is asked for, where one is named. */
export function wantedSecrets(): readonly WantedSecret[] {
  return Object.values<Variable>(VARIABLES).flatMap(({ name, vaultName }) =>
    vaultName === undefined ? [] : [{ name: vaultName, variable: name }],
  );
}

/** Reads the environment, and the secrets where they are there already. */
export function readVariableSettings(
  environment: Environment,
  secrets: Secrets | undefined,
): VariableReading {
  const problems: ConfigProblem[] = [];
  const sources = new Map<string, SettingSource>();
  const settings: Record<string, string | undefined> = {};
  for (const [key, variable] of Object.entries<Variable>(VARIABLES)) {
    const { text, source } = find(variable, { environment, secrets });
    sources.set(variable.name, source);
    const wanted = text === undefined ? undefined : wantedInstead(variable, text);
    if (wanted !== undefined) problems.push({ setting: placeOf(variable, source), wanted });
    else settings[key] = variable.kind === 'text' ? text : text?.replace(/\/+$/, '');
  }
  return { settings: settings as VariableSettings, sources, problems };
}

interface Places {
  readonly environment: Environment;
  readonly secrets: Secrets | undefined;
}

interface Found {
  readonly text: string | undefined;
  readonly source: SettingSource;
}

/** An empty or blank value counts as not set: that is how the portal and shells unset things. */
function find(variable: Variable, { environment, secrets }: Places): Found {
  const { name, vaultName } = variable;
  if (vaultName !== undefined && secrets?.sourceOf(vaultName) === 'key-vault') {
    return { text: secrets.get(vaultName), source: 'Key Vault' };
  }
  const text = environment[name]?.trim() ?? '';
  if (text !== '') return { text, source: 'environment' };
  return { text: variable.default, source: variable.default === undefined ? 'unset' : 'default' };
}

function placeOf({ name, vaultName }: Variable, source: SettingSource): string {
  return source === 'Key Vault' ? `${name} (Key Vault secret ${vaultName ?? ''})` : name;
}

function wantedInstead({ kind }: Variable, text: string): string | undefined {
  if (kind === 'text') return undefined;
  if (kind === 'url' && isPlainUrl(text, ['https:', 'http:'])) return undefined;
  if (kind === 'https-url' && isPlainUrl(text, ['https:'])) return undefined;
  const scheme = kind === 'url' ? 'http(s)' : 'https';
  return `an ${scheme} URL without credentials, query or fragment`;
}

function isPlainUrl(text: string, protocols: readonly string[]): boolean {
  const url = URL.parse(text);
  return (
    url !== null &&
    protocols.includes(url.protocol) &&
    url.username === '' &&
    url.password === '' &&
    url.search === '' &&
    url.hash === ''
  );
}
