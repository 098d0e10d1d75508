import type { TokenCredential } from '@azure/identity';
import type { Clock } from '../clock.ts';
import { ConfigError } from '../config/config-error.ts';
import { parseFallbacks, type ModelFallback } from '../config/model-fallbacks.ts';
import type { Environment } from '../config/read-variables.ts';
import type { Settings } from '../config/read-config.ts';
import type { MissingReason, Secrets } from '../secrets/secrets.ts';
import { VARIABLES } from '../config/variables.ts';
import { ServiceError } from '../errors.ts';
import type { ModelEndpoint } from '../model/model.ts';
import { createHttpClient, type HttpClient } from '../model/http-client.ts';
import { createProxySelector } from '../model/proxy.ts';
import { createResilientModel, type ResilientModel } from '../model/resilient-model.ts';
import type { Telemetry } from '../telemetry/telemetry.ts';

interface ModelDependencies {
  /** For the proxy variables. */
  readonly environment: Environment;
  readonly secrets: Secrets;
  readonly credential: () => Promise<TokenCredential>;
  readonly clock: Clock;
  readonly random: () => number;
  readonly telemetry: Telemetry;
  /** The settings with the current secrets. Throws ConfigError if they name no model. */
  readonly readSettings: () => Settings;
}

export interface ConfiguredModel {
  readonly model: ResilientModel;
  /** @throws ServiceError while the current secrets name no model */
  requireConfigured(): void;
  /** Text that changes whenever an endpoint or a model changes. */
  fingerprint(): string;
}

const OPENAI_BASE_URL = 'https://api.openai.com/v1';
/** The longest time between two reads of a vault that has not answered yet. */
const VAULT_RETRY_SECONDS = 15;
const AZURE_OPENAI_SCOPE = 'https://cognitiveservices.azure.com/.default';

/**
 * The configured model. Keys are read for each attempt, so a rotated key needs no new model. A
 * changed address does; calls in flight end on the old one.
 */
export function createConfiguredModel(dependencies: ModelDependencies): ConfiguredModel {
  const { secrets, telemetry } = dependencies;
  const httpClient = createHttpClient(createProxySelector(dependencies));
  let endpoints: readonly ModelEndpoint[] = [];
  let isMissing = true;
  function requireConfigured(): void {
    if (!isMissing) return;
    // Read again each time, because the reason can change while no secret has a value.
    readModelSettings(dependencies);
    update();
    if (isMissing) throw new ServiceError('config_unavailable', 'The model is not configured');
  }
  function configure(): ResilientModel {
    requireConfigured();
    return model;
  }
  const unconfigured = createUnconfiguredModel(configure);
  const model = createSwappableModel(unconfigured);

  function update(): void {
    try {
      const next = endpointsOf(readModelSettings(dependencies), dependencies);
      isMissing = false;
      if (isSameList(endpoints, next)) return;
      if (endpoints.length > 0) telemetry.info('model endpoint replaced');
      endpoints = next;
      model.replace(createModel(next, { ...dependencies, httpClient }));
    } catch (thrown) {
      if (!(thrown instanceof ServiceError)) throw thrown;
      // Calls must fail as well, because readiness and the batch report a missing model.
      isMissing = true;
      endpoints = [];
      model.replace(unconfigured);
      telemetry.error('model not configured', { detail: thrown.message });
    }
  }
  update();
  secrets.onChange(update);
  return {
    model,
    requireConfigured,
    fingerprint: () => endpoints.map(({ baseUrl, model: name }) => `${baseUrl} ${name}`).join('\n'),
  };
}

const UNUSABLE: ReadonlySet<MissingReason | undefined> = new Set([
  'empty',
  'too large',
  'not valid',
]);

/** @throws ServiceError if the current secrets name no model, or hold a key that cannot be used */
function readModelSettings({ readSettings, secrets }: ModelDependencies): Settings {
  const options = { retryAfterSeconds: VAULT_RETRY_SECONDS };
  let settings: Settings;
  try {
    settings = readSettings();
  } catch (thrown) {
    if (!(thrown instanceof ConfigError)) throw thrown;
    throw new ServiceError('config_unavailable', thrown.message, { ...options, cause: thrown });
  }
  // A key was stored, so the identity is not what the operator meant, and may have no rights.
  const reason = secrets.missingReason(PRIMARY_KEY.secret);
  if (settings.openAiApiKey === undefined && UNUSABLE.has(reason)) {
    const message = `${PRIMARY_KEY.setting} cannot be used: the secret ${PRIMARY_KEY.secret} is ${reason}`;
    throw new ServiceError('config_unavailable', message, options);
  }
  return settings;
}

interface ModelDependenciesWithClient extends ModelDependencies {
  /** Shared, so that connections survive a change of endpoints. */
  readonly httpClient: HttpClient;
}

function createModel(
  endpoints: readonly ModelEndpoint[],
  dependencies: ModelDependenciesWithClient,
): ResilientModel {
  const { httpClient, clock, random, telemetry, secrets } = dependencies;
  const settings = dependencies.readSettings();
  return createResilientModel({
    endpoints,
    settings: settings.model,
    prices: {
      inputPerMillion: settings.telemetry.pricePerMillionInputTokens,
      cachedInputPerMillion: settings.telemetry.pricePerMillionCachedInputTokens,
      outputPerMillion: settings.telemetry.pricePerMillionOutputTokens,
    },
    httpClient,
    clock,
    random,
    telemetry,
    onAuthFailure: () => secrets.refreshNow(),
  });
}

/** All endpoints, in failover order. */
function endpointsOf(
  settings: Settings,
  dependencies: ModelDependencies,
): readonly ModelEndpoint[] {
  const fallbacks = parseFallbacks(settings.modelFallbacks ?? '[]') ?? [];
  return [
    primaryOf(settings, dependencies),
    ...fallbacks.map((fallback) => fallbackOf(fallback, dependencies)),
  ];
}

/** The configured endpoint: Azure OpenAI by key or identity, or any compatible one. */
function primaryOf(settings: Settings, dependencies: ModelDependencies): ModelEndpoint {
  const { azureOpenAiEndpoint, openAiApiKey } = settings;
  if (azureOpenAiEndpoint === undefined) {
    return {
      name: 'primary',
      kind: 'openai',
      baseUrl: settings.openAiBaseUrl ?? OPENAI_BASE_URL,
      model: settings.openAiModel,
      apiKey: async () => currentKey(dependencies.secrets, PRIMARY_KEY),
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
      ? async () => currentKey(dependencies.secrets, PRIMARY_KEY)
      : identityTokens(dependencies.credential),
  };
}

function fallbackOf(fallback: ModelFallback, dependencies: ModelDependencies): ModelEndpoint {
  const { name, apiKey, apiKeySecret } = fallback;
  const isByKey = apiKey !== undefined || apiKeySecret !== undefined;
  const credential = {
    credential: isByKey ? ('key' as const) : ('token' as const),
    apiKey: isByKey
      ? async () =>
          apiKey ?? currentKey(dependencies.secrets, { secret: apiKeySecret, setting: name })
      : identityTokens(dependencies.credential),
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
    (field) => one[field] === other?.[field],
  );
}

const PRIMARY_KEY = {
  secret: VARIABLES.openAiApiKey.vaultName,
  setting: VARIABLES.openAiApiKey.name,
} as const;

interface KeyLocation {
  readonly secret: string | undefined;
  /** The setting's name for error messages. */
  readonly setting: string;
}

function currentKey(secrets: Secrets, { secret, setting }: KeyLocation): string {
  const key = secret === undefined ? undefined : secrets.get(secret);
  if (key !== undefined) return key;
  throw new ServiceError(
    'config_unavailable',
    `Cannot call the model: the key of ${setting} is not set`,
  );
}

/** Loads the identity package with the first call, because nothing needs a token before. */
export function identityTokens(credential: () => Promise<TokenCredential>): () => Promise<string> {
  let getToken: (() => Promise<string>) | undefined;
  return async () => {
    if (getToken === undefined) {
      const { getBearerTokenProvider } = await import('@azure/identity');
      getToken = getBearerTokenProvider(await credential(), AZURE_OPENAI_SCOPE);
    }
    return getToken();
  };
}

/** A model that can be replaced while calls are in flight. */
interface SwappableModel extends ResilientModel {
  /** New calls use `next`; calls in flight finish on the model that they started on. */
  replace(next: ResilientModel): void;
}

function createSwappableModel(first: ResilientModel): SwappableModel {
  let current = first;
  return {
    complete: (request, call) => current.complete(request, call),
    stream: (request, call) => current.stream(request, call),
    endpoints: () => current.endpoints(),
    replace(next) {
      current = next;
    },
  };
}

/**
 * The model before any endpoint is configured.
 *
 * @param configure returns the configured model, or throws the error that callers receive
 */
function createUnconfiguredModel(configure: () => ResilientModel): ResilientModel {
  return {
    complete: async (request, call) => configure().complete(request, call),
    stream: (request, call) => ({
      async *[Symbol.asyncIterator]() {
        yield* configure().stream(request, call);
      },
    }),
    endpoints: () => [],
  };
}
