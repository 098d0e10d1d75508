import type { ConfigProblem } from './config-error.ts';
import {
  FALLBACKS_EXPECTED,
  fallbackSecrets,
  parseFallbacks,
  readPlainUrl,
} from './model-fallbacks.ts';
import { type SettingSource, type Variable, VARIABLES } from './variables.ts';
import type { Secrets, RequiredSecret } from '../secrets/secrets.ts';
import { parseJson } from '../json.ts';

/** Variables with a default are always there; the others are `undefined` when not set. */
export type VariableSettings = {
  readonly [K in keyof typeof VARIABLES]: (typeof VARIABLES)[K] extends { default: string }
    ? string
    : string | undefined;
};

export interface VariableReading {
  /** Complete only where there is no problem. */
  readonly settings: VariableSettings;
  /** By the name of the variable. */
  readonly sources: ReadonlyMap<string, SettingSource>;
  readonly problems: readonly ConfigProblem[];
}

/** What a header can carry: a key with a line feed inside would fail every call instead of the start. */
const PRINTABLE = /^[\x20-\x7e]{1,4096}$/;

/** The secrets that the vault is asked for, where one is named. */
export function requiredSecrets(modelFallbacks?: string): readonly RequiredSecret[] {
  const own = Object.values<Variable>(VARIABLES).flatMap(({ name, vaultName }) =>
    vaultName === undefined ? [] : [{ name: vaultName, variable: name }],
  );
  const known = new Set(own.map(({ name }) => name));
  const others = fallbackSecrets(modelFallbacks).filter((name) => !known.has(name));
  return [...own, ...[...new Set(others)].map((name) => ({ name }))];
}

/** Reads the environment, and the secrets where they are there already. */
export function readVariableSettings(places: VariableSources): VariableReading {
  const problems: ConfigProblem[] = [];
  const sources = new Map<string, SettingSource>();
  const settings: Record<string, string | undefined> = {};
  for (const [key, variable] of Object.entries<Variable>(VARIABLES)) {
    const found = resolveVariable(variable, places);
    sources.set(variable.name, found.source);
    const reading = readOne(variable, found.text);
    if ('wanted' in reading) {
      problems.push({ setting: sourceOf(variable, found), wanted: reading.wanted });
    } else settings[key] = reading.value;
  }
  return { settings: settings as VariableSettings, sources, problems };
}

type Reading = { readonly value: string | undefined } | { readonly wanted: string };

function readOne({ kind }: Variable, text: string | undefined): Reading {
  if (text === undefined) return { value: undefined };
  if (kind === 'url') return readUrl(text, ['https:', 'http:']);
  if (kind === 'https-url') return readUrl(text, ['https:']);
  if (kind === 'fallbacks') {
    return parseFallbacks(text) === undefined ? { wanted: FALLBACKS_EXPECTED } : { value: text };
  }
  if (kind === 'json-object') {
    return isJsonObject(text) ? { value: text } : { wanted: 'a JSON object' };
  }
  if (PRINTABLE.test(text)) return { value: text };
  return { wanted: 'at most 4096 printable ASCII characters' };
}

function isJsonObject(text: string): boolean {
  const value = parseJson(text);
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function readUrl(text: string, protocols: readonly string[]): Reading {
  const value = readPlainUrl(text, protocols);
  if (value !== undefined) return { value };
  const scheme = protocols.length > 1 ? 'http(s)' : 'https';
  return { wanted: `an ${scheme} URL without credentials, query or fragment` };
}

function sourceOf({ name, vaultName }: Variable, { source }: FoundVariable): string {
  return source === 'Key Vault' ? `${name} (Key Vault secret ${vaultName ?? ''})` : name;
}

export type Environment = Readonly<Record<string, string | undefined>>;

/** Where the value of a variable may be. */
export interface VariableSources {
  readonly environment: Environment;
  /** Absent while a vault that is named has not been asked. */
  readonly secrets?: Secrets | undefined;
}

export interface FoundVariable {
  readonly text: string | undefined;
  readonly source: SettingSource;
}

/** The text of a variable: from the vault, else from the environment, else its default. */
export function resolveVariable(variable: Variable, places: VariableSources): FoundVariable {
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
