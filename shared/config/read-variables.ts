import type { ConfigProblem } from './config-error.ts';
import {
  FALLBACKS_EXPECTED,
  fallbackSecrets,
  parseFallbacks,
  readAzureEndpoint,
  readModelBaseUrl,
  readPlainUrl,
} from './model-fallbacks.ts';
import { type SettingSource, type Variable, VARIABLES } from './variables.ts';
import type { Secrets, RequiredSecret } from '../secrets/secrets.ts';
import { parseJson } from '../json.ts';

/** Variables with a default are always set; the others may be undefined. */
export type VariableSettings = {
  readonly [K in keyof typeof VARIABLES]: (typeof VARIABLES)[K] extends { default: string }
    ? string
    : string | undefined;
};

interface VariableSettingsResult {
  /** Complete only if there are no problems. */
  readonly settings: VariableSettings;
  /** By the name of the variable. */
  readonly sources: ReadonlyMap<string, SettingSource>;
  readonly problems: readonly ConfigProblem[];
}

/** The characters of HTTP headers: a key with a line feed would otherwise fail every call. */
const PRINTABLE = /^[\x20-\x7e]{1,4096}$/;

/** The secrets to read from the vault, if one is configured. */
export function requiredSecrets(
  modelFallbacks?: string,
  toolSecrets: readonly string[] = [],
): readonly RequiredSecret[] {
  const own = Object.values<Variable>(VARIABLES).flatMap((variable) => {
    const { name, vaultName } = variable;
    const accepts = (text: string): boolean => 'value' in parseValue(variable, text);
    return vaultName === undefined ? [] : [{ name: vaultName, variable: name, accepts }];
  });
  const known = new Set(own.map(({ name }) => name));
  const others = fallbackSecrets(modelFallbacks).filter((name) => !known.has(name));
  const accepts = (text: string): boolean => !isReference(text) && PRINTABLE.test(text);
  const ofTools = toolSecrets.filter((name) => !known.has(name) && !others.includes(name));
  return [
    ...own,
    ...[...new Set(others)].map((name) => ({ name, accepts })),
    ...[...new Set(ofTools)].map((name) => ({ name, variable: secretVariable(name), accepts })),
  ];
}

/** The variable of a secret that a team names itself. */
export function secretVariable(secretName: string): string {
  return secretName.toUpperCase().replaceAll('-', '_');
}

/** Reads the environment, and the secrets if they were loaded. */
export function readVariableSettings(from: VariableSources): VariableSettingsResult {
  const problems: ConfigProblem[] = [];
  const sources = new Map<string, SettingSource>();
  const settings: Record<string, string | undefined> = {};
  for (const [key, variable] of Object.entries<Variable>(VARIABLES)) {
    const resolved = resolveVariable(variable, from);
    sources.set(variable.name, resolved.source);
    const result = parseValue(variable, resolved.text);
    if ('expected' in result) {
      problems.push({ setting: describeSource(variable, resolved), expected: result.expected });
    } else settings[key] = result.value;
  }
  return { settings: settings as VariableSettings, sources, problems };
}

type ParseResult = { readonly value: string | undefined } | { readonly expected: string };

function parseValue({ kind }: Variable, text: string | undefined): ParseResult {
  if (text === undefined) return { value: undefined };
  if (isReference(text)) return { expected: 'a value: its Key Vault reference was not resolved' };
  if (kind === 'url') return parseUrl(text, ['https:', 'http:']);
  if (kind === 'model-url') return orExpected(readModelBaseUrl(text), ANY_URL);
  if (kind === 'azure-openai-url') return orExpected(readAzureEndpoint(text), AZURE_OPENAI_URL);
  if (kind === 'https-url') return parseUrl(text, ['https:']);
  if (kind === 'fallbacks') {
    return parseFallbacks(text) === undefined ? { expected: FALLBACKS_EXPECTED } : { value: text };
  }
  if (kind === 'json-object') {
    return isJsonObject(text) ? { value: text } : { expected: 'a JSON object' };
  }
  if (kind === 'encryption-keys') {
    return orExpected(ENCRYPTION_KEYS.test(text) ? text : undefined, KEYS_EXPECTED);
  }
  if (kind === 'auth-level') {
    return orExpected(
      AUTH_LEVELS.find((level) => level === text),
      AUTH_LEVELS.join(' or '),
    );
  }
  if (kind === 'storage-connection') return orExpected(readStorageConnection(text), CONNECTION);
  if (kind === 'storage-account') {
    return orExpected(STORAGE_ACCOUNT.test(text) ? text : undefined, ACCOUNT_NAME);
  }
  if (PRINTABLE.test(text)) return { value: text };
  return { expected: 'at most 4096 printable ASCII characters' };
}

/** Levels of the platform that the routes for callers can have. */
const AUTH_LEVELS = ['function', 'anonymous'] as const;
export type RouteAuthLevel = (typeof AUTH_LEVELS)[number];

/**
 * The level with which the triggers of the routes for callers register. Anything but `anonymous`
 * counts as `function`, so that an invalid value opens no route; `readVariableSettings` reports it.
 */
export function readRouteAuthLevel(environment: Environment): RouteAuthLevel {
  return textOf(environment, VARIABLES.routeAuthLevel.name) === 'anonymous'
    ? 'anonymous'
    : 'function';
}

/** 32 bytes in base64 (44 characters, the last one is padding) or hexadecimal. */
const ENCRYPTION_KEYS =
  /^(?:[A-Za-z0-9+/_-]{43}=?|[0-9A-Fa-f]{64})(?: ?, ?(?:[A-Za-z0-9+/_-]{43}=?|[0-9A-Fa-f]{64}))*$/;
const KEYS_EXPECTED = 'keys of 32 bytes in base64, separated by commas';

const STORAGE_ACCOUNT = /^[a-z0-9]{3,24}$/;
const ACCOUNT_NAME = 'the name of a storage account: 3 to 24 lower-case letters and digits';
const CONNECTION =
  'a storage connection string with AccountName and AccountKey, or with endpoints and a SharedAccessSignature, or UseDevelopmentStorage=true';

/** A connection string that the storage clients accept; a signature without its question mark. */
function readStorageConnection(text: string): string | undefined {
  const parts = new Map(
    text.split(';').flatMap((part) => {
      const [name = '', ...value] = part.split('=');
      return name.trim() === '' ? [] : [[name.trim().toLowerCase(), value.join('=').trim()]];
    }),
  );
  const has = (...names: readonly string[]): boolean =>
    names.every((name) => (parts.get(name) ?? '') !== '');
  const isComplete =
    parts.get('usedevelopmentstorage')?.toLowerCase() === 'true' ||
    has('accountname', 'accountkey') ||
    has('accountname', 'sharedaccesssignature') ||
    has('blobendpoint', 'queueendpoint', 'sharedaccesssignature');
  if (!isComplete || !PRINTABLE.test(text)) return undefined;
  return text.replace(/(SharedAccessSignature=)\?/i, '$1');
}

/** App Service leaves the reference in place of the value if it cannot read the secret. */
function isReference(text: string): boolean {
  return text.startsWith('@Microsoft.KeyVault(');
}

function isJsonObject(text: string): boolean {
  const value = parseJson(text);
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

const ANY_URL = 'an http(s) URL without credentials, query or fragment';
const HTTPS_URL = 'an https URL without credentials, query or fragment';
const AZURE_OPENAI_URL =
  'the URL of the resource, such as https://NAME.openai.azure.com, without a deployment, credentials, query or fragment';

function parseUrl(text: string, protocols: readonly string[]): ParseResult {
  return orExpected(readPlainUrl(text, protocols), protocols.length > 1 ? ANY_URL : HTTPS_URL);
}

function orExpected(value: string | undefined, expected: string): ParseResult {
  return value === undefined ? { expected } : { value };
}

function describeSource({ name, vaultName }: Variable, { source }: ResolvedVariable): string {
  return source === 'Key Vault' ? `${name} (Key Vault secret ${vaultName ?? ''})` : name;
}

export type Environment = Readonly<Record<string, string | undefined>>;

/** The sources of variables. */
export interface VariableSources {
  readonly environment: Environment;
  /** Undefined until the configured vault was read. */
  readonly secrets?: Secrets | undefined;
}

interface ResolvedVariable {
  readonly text: string | undefined;
  readonly source: SettingSource;
}

/** The text of a variable: from the vault, else from the environment, else its default. */
export function resolveVariable(
  variable: Variable,
  { environment, secrets }: VariableSources,
): ResolvedVariable {
  const { name, vaultName } = variable;
  if (vaultName !== undefined && secrets?.sourceOf(vaultName) === 'key-vault') {
    return { text: secrets.get(vaultName), source: 'Key Vault' };
  }
  const text = textOf(environment, name);
  if (text !== '') return { text, source: 'environment' };
  return { text: variable.default, source: variable.default === undefined ? 'unset' : 'default' };
}

/** The trimmed value. Portal and shells unset variables by an empty value, so blank means unset. */
export function textOf(environment: Environment, name: string): string {
  return Object.hasOwn(environment, name) ? (environment[name]?.trim() ?? '') : '';
}
