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

type Reading = { readonly value: unknown } | { readonly wanted: string };

/**
 * Reads every setting of the table.
 * @throws ConfigError naming all settings that are wrong, at once, and never a value.
 */
export function readSettings(environment: Environment): Settings {
  const problems: ConfigProblem[] = [];
  const values: Record<string, unknown> = {};
  for (const [key, setting] of Object.entries<Setting>(SETTINGS)) {
    const reading = readOne(setting, environment[setting.name]);
    if ('wanted' in reading) problems.push({ setting: setting.name, wanted: reading.wanted });
    else values[key] = reading.value;
  }
  const settings = values as Settings;
  if (problems.length === 0) problems.push(...combinationProblems(settings));
  if (problems.length > 0) throw new ConfigError(problems);
  return settings;
}

/** An empty or blank value counts as not set: that is how the portal and shells unset things. */
function readOne(setting: Setting, raw: string | undefined): Reading {
  const text = raw?.trim() ?? '';
  if (text === '') return { value: 'default' in setting ? setting.default : undefined };
  switch (setting.kind) {
    case 'text':
      return { value: text };
    case 'url':
      return isHttpUrl(text)
        ? { value: text.replace(/\/+$/, '') }
        : { wanted: 'an http(s) URL without credentials, query or fragment' };
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

function isHttpUrl(text: string): boolean {
  const url = URL.parse(text);
  return (
    url !== null &&
    (url.protocol === 'https:' || url.protocol === 'http:') &&
    url.username === '' &&
    url.password === '' &&
    url.search === '' &&
    url.hash === ''
  );
}

/** What no single setting can say: which model is called. */
function combinationProblems(settings: Settings): ConfigProblem[] {
  if (settings.azureOpenAiEndpoint !== undefined) {
    if (settings.openAiBaseUrl !== undefined) {
      return [
        {
          setting: SETTINGS.openAiBaseUrl.name,
          wanted: `unset while ${SETTINGS.azureOpenAiEndpoint.name} is set`,
        },
      ];
    }
    if (settings.azureOpenAiDeployment !== undefined) return [];
    return [
      { setting: SETTINGS.azureOpenAiDeployment.name, wanted: 'the name of a model deployment' },
    ];
  }
  if (settings.openAiApiKey !== undefined) return [];
  return [
    {
      setting: SETTINGS.openAiApiKey.name,
      wanted: `a key, or ${SETTINGS.azureOpenAiEndpoint.name} for Azure OpenAI by managed identity`,
    },
  ];
}
