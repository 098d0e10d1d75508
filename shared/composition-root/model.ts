import type { TokenCredential } from '@azure/identity';
import type { Clock } from '../clock.ts';
import { ConfigError } from '../config/config-error.ts';
import { parseFallbacks, type ModelFallback } from '../config/model-fallbacks.ts';
import type { Settings } from '../config/read-config.ts';
import type { Secrets } from '../secrets/secrets.ts';
import { VARIABLES } from '../config/variables.ts';
import { ServiceError } from '../errors.ts';
import type { ModelEndpoint } from '../model/endpoint.ts';
import { createHttpClient, type HttpClient } from '../model/http-client.ts';
import { createUnconfiguredModel, createSwappableModel } from '../model/replaceable-model.ts';
import { createResilientModel, type ResilientModel } from '../model/resilient-model.ts';
import type { Telemetry } from '../telemetry/telemetry.ts';

export interface ModelDependencies {
  readonly secrets: Secrets;
  readonly credential: () => Promise<TokenCredential>;
  readonly clock: Clock;
  readonly random: () => number;
  readonly telemetry: Telemetry;
  /** The settings with the secrets of now. Throws ConfigError where they name no model. */
  readonly readSettings: () => Settings;
}

export interface ConfiguredModel {
  readonly model: ResilientModel;
  /** @throws ServiceError while the secrets of now name no model that could be called. */
  requireConfigured(): void;
  /** Which models are asked where, as text that changes when any of that does. */
  fingerprint(): string;
}

const OPENAI_BASE_URL = 'https://api.openai.com/v1';
/** The longest wait between two reads of a vault that has not answered yet. */
const VAULT_RETRY_SECONDS = 15;
const AZURE_OPENAI_SCOPE = 'https://cognitiveservices.azure.com/.default';

/**
 * The model that the settings name. Keys are asked for with each attempt, so a new one needs no new
 * model; a new address does, and calls in flight end on the old one.
 */
export function createConfiguredModel(parts: ModelDependencies): ConfiguredModel {
  const { secrets, telemetry } = parts;
  const httpClient = createHttpClient();
  let endpoints: readonly ModelEndpoint[] = [];
  let isMissing = true;
  function requireConfigured(): void {
    // Read again each time: why something is missing changes while nothing else does.
    if (isMissing) configured(parts);
  }
  const model = createSwappableModel(createUnconfiguredModel(requireConfigured));

  function takeOver(): void {
    try {
      const next = endpointsOf(configured(parts), parts);
      isMissing = false;
      if (isSameList(endpoints, next)) return;
      if (endpoints.length > 0) telemetry.info('model endpoint replaced');
      endpoints = next;
      model.replace(createModel(next, { ...parts, httpClient }));
    } catch (thrown) {
      if (!(thrown instanceof ServiceError)) throw thrown;
      isMissing = true;
      telemetry.error('model not configured', { detail: thrown.message });
    }
  }
  takeOver();
  secrets.onChange(takeOver);
  return {
    model,
    requireConfigured,
    fingerprint: () => endpoints.map(({ baseUrl, model: name }) => `${baseUrl} ${name}`).join('\n'),
  };
}

/** @throws ServiceError where the secrets of now name no model. */
function configured({ readSettings }: ModelDependencies): Settings {
  try {
    return readSettings();
  } catch (thrown) {
    if (!(thrown instanceof ConfigError)) throw thrown;
    const options = { cause: thrown, retryAfterSeconds: VAULT_RETRY_SECONDS };
    throw new ServiceError('config_unavailable', thrown.message, options);
  }
}

interface ModelDependenciesWithClient extends ModelDependencies {
  /** Its connections outlive a change of endpoints. */
  readonly httpClient: HttpClient;
}

function createModel(
  endpoints: readonly ModelEndpoint[],
  parts: ModelDependenciesWithClient,
): ResilientModel {
  const { clock, random, telemetry, secrets } = parts;
  const settings = parts.readSettings();
  return createResilientModel({
    endpoints,
    settings: settings.model,
    prices: {
      inputPerMillion: settings.telemetry.pricePerMillionInputTokens,
      outputPerMillion: settings.telemetry.pricePerMillionOutputTokens,
    },
    httpClient: parts.httpClient,
    clock,
    random,
    telemetry,
    onAuthFailure: () => secrets.refreshNow(),
  });
}

/** In the order in which they are asked. */
function endpointsOf(settings: Settings, parts: ModelDependencies): readonly ModelEndpoint[] {
  const fallbacks = parseFallbacks(settings.modelFallbacks ?? '[]') ?? [];
  return [primaryOf(settings, parts), ...fallbacks.map((one) => fallbackOf(one, parts))];
}

/** The endpoint that the settings name: Azure OpenAI by key or identity, or any compatible one. */
function primaryOf(settings: Settings, parts: ModelDependencies): ModelEndpoint {
  const { azureOpenAiEndpoint, openAiApiKey } = settings;
  if (azureOpenAiEndpoint === undefined) {
    return {
      name: 'primary',
      kind: 'openai',
      baseUrl: settings.openAiBaseUrl ?? OPENAI_BASE_URL,
      model: settings.openAiModel,
      apiKey: async () => currentKey(parts.secrets, PRIMARY_KEY),
    };
  }
  const isByKey = openAiApiKey !== undefined;
  return {
    name: 'primary',
    kind: 'azure',
    baseUrl: `${azureOpenAiEndpoint}/openai/v1`,
    model: settings.azureOpenAiDeployment ?? '',
    credential: isByKey ? 'key' : 'token',
    apiKey: isByKey
      ? async () => currentKey(parts.secrets, PRIMARY_KEY)
      : identityTokens(parts.credential),
  };
}

function fallbackOf(fallback: ModelFallback, parts: ModelDependencies): ModelEndpoint {
  const { name, apiKey, apiKeySecret } = fallback;
  const isByKey = apiKey !== undefined || apiKeySecret !== undefined;
  const credential = {
    credential: isByKey ? ('key' as const) : ('token' as const),
    apiKey: isByKey
      ? async () => apiKey ?? currentKey(parts.secrets, { secret: apiKeySecret, setting: name })
      : identityTokens(parts.credential),
  };
  if ('baseUrl' in fallback) {
    const { baseUrl, model } = fallback;
    return { name, kind: 'openai', baseUrl, model, ...credential };
  }
  const baseUrl = `${fallback.azureEndpoint}/openai/v1`;
  return { name, kind: 'azure', baseUrl, model: fallback.deployment, ...credential };
}

function isSameList(list: readonly ModelEndpoint[], other: readonly ModelEndpoint[]): boolean {
  return (
    list.length === other.length && list.every((one, index) => isSameEndpoint(one, other[index]))
  );
}

function isSameEndpoint(one: ModelEndpoint, other: ModelEndpoint | undefined): boolean {
  return (['kind', 'baseUrl', 'model', 'credential'] as const).every(
    (name) => one[name] === other?.[name],
  );
}

const PRIMARY_KEY = {
  secret: VARIABLES.openAiApiKey.vaultName,
  setting: VARIABLES.openAiApiKey.name,
} as const;

interface KeyPlace {
  readonly secret: string | undefined;
  /** What an operator calls it. */
  readonly setting: string;
}

function currentKey(secrets: Secrets, { secret, setting }: KeyPlace): string {
  const key = secret === undefined ? undefined : secrets.get(secret);
  if (key !== undefined) return key;
  throw new ServiceError(
    'config_unavailable',
    `Cannot call the model: the key of ${setting} is not set`,
  );
}

/** Made with the first call: a token is of no use before. */
function identityTokens(credential: () => Promise<TokenCredential>): () => Promise<string> {
  let tokens: (() => Promise<string>) | undefined;
  return async () => {
    if (tokens === undefined) {
      const { getBearerTokenProvider } = await import('@azure/identity');
      tokens = getBearerTokenProvider(await credential(), AZURE_OPENAI_SCOPE);
    }
    return tokens();
  };
}
