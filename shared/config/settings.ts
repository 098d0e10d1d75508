import { ConfigError, type ConfigProblem } from './config-error.ts';
import { SETTINGS, type Setting } from './settings-table.ts';

type ValueOf<S extends Setting> = S extends { kind: 'integer' }
  ? number
  : S extends { kind: 'choice'; choices: readonly (infer C)[] }
    ? C
    : string;

/** Settings with a default are always there; the others are `undefined` when not set. */
export type Settings = {
  readonly [K in keyof typeof SETTINGS]: (typeof SETTINGS)[K] extends { default: unknown }
    ? ValueOf<(typeof SETTINGS)[K]>
    : ValueOf<(typeof SETTINGS)[K]> | undefined;
};

export type Environment = Readonly<Record<string, string | undefined>>;

/** What a header can carry: a key with a line feed inside would fail every call instead of the start. */
const PRINTABLE = /^[\x20-\x7e]{1,4096}$/;
const WANTED_TEXT = 'at most 4096 printable ASCII characters';

type Reading = { readonly value: unknown } | { readonly wanted: string };

/**
 * Reads every setting of the table.
 * @throws ConfigError naming all settings that are wrong, at once, and never a value.
 */
export function readSettings(environment: Environment): Settings {
  const problems: ConfigProblem[] = [];
  const values: Record<string, unknown> = {};
  for (const [key, setting] of Object.entries<Setting>(SETTINGS)) {
    const reading = readOne(setting, textOf(setting, environment));
    if ('wanted' in reading) problems.push({ setting: setting.name, wanted: reading.wanted });
    else values[key] = reading.value;
  }
  problems.push(...combinationProblems(environment));
  if (problems.length > 0) throw new ConfigError(problems);
  return values as Settings;
}

/** An empty or blank value counts as not set: that is how the portal and shells unset things. */
function textOf({ name }: Setting, environment: Environment): string {
  return Object.hasOwn(environment, name) ? (environment[name]?.trim() ?? '') : '';
}

function readOne(setting: Setting, text: string): Reading {
  if (text === '') return { value: 'default' in setting ? setting.default : undefined };
  switch (setting.kind) {
    case 'text':
      return PRINTABLE.test(text) ? { value: text } : { wanted: WANTED_TEXT };
    case 'url':
      return readHttpUrl(text);
    case 'choice':
      return setting.choices.includes(text)
        ? { value: text }
        : { wanted: `one of ${setting.choices.join(', ')}` };
    case 'integer':
      return readInteger(setting, text);
  }
}

function readInteger(setting: Setting & { kind: 'integer' }, text: string): Reading {
  const value = /^-?\d{1,15}$/.test(text) ? Number(text) : Number.NaN;
  if (value >= setting.min && value <= setting.max) return { value };
  return { wanted: `a whole number of ${setting.unit} from ${setting.min} to ${setting.max}` };
}

/** As the parser wrote it again, so that what was checked is what is used. */
function readHttpUrl(text: string): Reading {
  const url = /[\s?#]/.test(text) ? null : URL.parse(text);
  const good =
    url !== null &&
    (url.protocol === 'https:' || url.protocol === 'http:') &&
    url.username === '' &&
    url.password === '';
  if (!good) return { wanted: 'an http(s) URL without credentials, query or fragment' };
  return { value: url.href.replace(/\/+$/, '') };
}

/** What no single setting can say: which model is called, and how storage is reached. */
function combinationProblems(environment: Environment): ConfigProblem[] {
  const isSet = (setting: Setting): boolean => textOf(setting, environment) !== '';
  return [...modelProblems(isSet), ...storageProblems(isSet)];
}

function modelProblems(isSet: (setting: Setting) => boolean): ConfigProblem[] {
  const { openAiApiKey, openAiBaseUrl, azureOpenAiEndpoint, azureOpenAiDeployment } = SETTINGS;
  if (!isSet(azureOpenAiEndpoint)) {
    if (isSet(openAiApiKey)) return [];
    const wanted = `a key, or ${azureOpenAiEndpoint.name} for Azure OpenAI by managed identity`;
    return [{ setting: openAiApiKey.name, wanted }];
  }
  const problems: ConfigProblem[] = [];
  if (isSet(openAiBaseUrl)) {
    const wanted = `unset while ${azureOpenAiEndpoint.name} is set`;
    problems.push({ setting: openAiBaseUrl.name, wanted });
  }
  if (!isSet(azureOpenAiDeployment)) {
    problems.push({
      setting: azureOpenAiDeployment.name,
      wanted: 'the name of a model deployment',
    });
  }
  return problems;
}

function storageProblems(isSet: (setting: Setting) => boolean): ConfigProblem[] {
  const { storageBlobUri, storageQueueUri } = SETTINGS;
  if (isSet(storageBlobUri) === isSet(storageQueueUri)) return [];
  const [there, missing] = isSet(storageBlobUri)
    ? [storageBlobUri, storageQueueUri]
    : [storageQueueUri, storageBlobUri];
  return [{ setting: missing.name, wanted: `set while ${there.name} is set` }];
}
