/** An environment variable of one deployment. */
export interface Variable {
  /** The name of the environment variable. */
  readonly name: string;
  readonly kind:
    | 'text'
    | 'url'
    | 'https-url'
    | 'model-url'
    | 'azure-openai-url'
    | 'storage-connection'
    | 'storage-account'
    | 'fallbacks'
    | 'json-object'
    | 'encryption-keys'
    | 'auth-level';
  /** One line for docs/configuration.md. */
  readonly purpose: string;
  readonly default?: string;
  /** Secrets are never printed, logged or described. */
  readonly secret?: true;
  /** The vault secret that takes precedence over this variable, if a vault is configured. */
  readonly vaultName?: string;
}

/** All environment variables of the product, besides those that override agent.toml. */
export const VARIABLES = {
  openAiApiKey: {
    name: 'OPENAI_API_KEY',
    kind: 'text',
    secret: true,
    vaultName: 'openai-api-key',
    purpose: 'Key of the model endpoint. With Azure OpenAI leave it unset to use managed identity.',
  },
  openAiBaseUrl: {
    name: 'OPENAI_BASE_URL',
    kind: 'model-url',
    purpose: 'Base URL of any OpenAI-compatible endpoint; OpenAI itself when unset.',
  },
  openAiModel: {
    name: 'OPENAI_MODEL',
    kind: 'text',
    default: 'gpt-5.4-mini',
    purpose: 'Model at that endpoint.',
  },
  azureOpenAiEndpoint: {
    name: 'AZURE_OPENAI_ENDPOINT',
    kind: 'azure-openai-url',
    vaultName: 'azure-openai-endpoint',
    purpose:
      'Azure OpenAI resource, such as https://NAME.openai.azure.com. Takes precedence over OpenAI.',
  },
  azureOpenAiDeployment: {
    name: 'AZURE_OPENAI_DEPLOYMENT',
    kind: 'text',
    vaultName: 'azure-openai-deployment',
    purpose: 'Model deployment of that resource.',
  },
  modelFallbacks: {
    name: 'MODEL_FALLBACKS',
    kind: 'fallbacks',
    secret: true,
    purpose: 'Fallback endpoints, in failover order.',
  },
  azureKeyVaultUrl: {
    name: 'AZURE_KEY_VAULT_URL',
    kind: 'https-url',
    purpose: 'Key Vault to read secrets from, such as https://NAME.vault.azure.net.',
  },
  azureClientId: {
    name: 'AZURE_CLIENT_ID',
    kind: 'text',
    purpose: 'Client id of the user-assigned managed identity.',
  },
  contentSafetyEndpoint: {
    name: 'AZURE_CONTENT_SAFETY_ENDPOINT',
    kind: 'url',
    purpose:
      'Azure AI Content Safety resource for Prompt Shields, such as https://NAME.cognitiveservices.azure.com.',
  },
  contentSafetyKey: {
    name: 'AZURE_CONTENT_SAFETY_KEY',
    kind: 'text',
    secret: true,
    vaultName: 'azure-content-safety-key',
    purpose: 'Key of that resource. Leave it unset to use managed identity.',
  },
  callerKeys: {
    name: 'CALLER_KEYS',
    kind: 'json-object',
    secret: true,
    vaultName: 'caller-keys',
    purpose:
      'Names of callers with the SHA-256 of their keys. If set, every request needs one of the keys.',
  },
  routeAuthLevel: {
    name: 'ROUTE_AUTH_LEVEL',
    kind: 'auth-level',
    default: 'function',
    purpose:
      'With function the routes for callers need a key of the Functions host. With anonymous they need none, and the app refuses requests without an Entra principal or a caller key.',
  },
  historyEncryptionKey: {
    name: 'HISTORY_ENCRYPTION_KEY',
    kind: 'encryption-keys',
    secret: true,
    vaultName: 'history-encryption-key',
    purpose:
      'Keys of AES-256 for stored conversations, runs and answers, newest first; these are stored unencrypted if unset.',
  },
  upstashRedisUrl: {
    name: 'UPSTASH_REDIS_REST_URL',
    kind: 'url',
    purpose:
      'Upstash Redis for limits and cache of all instances; each instance works alone if unset.',
  },
  upstashRedisToken: {
    name: 'UPSTASH_REDIS_REST_TOKEN',
    kind: 'text',
    secret: true,
    vaultName: 'upstash-redis-rest-token',
    purpose: 'Token of that Redis.',
  },
  appInsightsConnectionString: {
    name: 'APPLICATIONINSIGHTS_CONNECTION_STRING',
    kind: 'text',
    secret: true,
    vaultName: 'app-insights-connection-string',
    purpose:
      'Application Insights resource for traces, metrics and logs; nothing is exported if unset.',
  },
  appInsightsAuthentication: {
    name: 'APPLICATIONINSIGHTS_AUTHENTICATION_STRING',
    kind: 'text',
    purpose:
      'Authorization=AAD to export with the managed identity, for resources that do not accept keys.',
  },
  appVersion: {
    name: 'APP_VERSION',
    kind: 'text',
    purpose:
      'Version of the app in metrics and traces, instead of the version and commit of the build.',
  },
  storageConnection: {
    name: 'AzureWebJobsStorage',
    kind: 'storage-connection',
    secret: true,
    purpose:
      'Connection string of the storage account of batch jobs. Local only; Azure uses the two URIs below.',
  },
  storageAccountName: {
    name: 'AzureWebJobsStorage__accountName',
    kind: 'storage-account',
    purpose:
      'Storage account, reached by managed identity, where the two URIs below are not set: they are derived from it.',
  },
  storageBlobUri: {
    name: 'AzureWebJobsStorage__blobServiceUri',
    kind: 'url',
    purpose: 'Blob endpoint of the storage account, reached by managed identity.',
  },
  storageQueueUri: {
    name: 'AzureWebJobsStorage__queueServiceUri',
    kind: 'url',
    purpose: 'Queue endpoint of the storage account, reached by managed identity.',
  },
} as const satisfies Record<string, Variable>;

/** The source of a setting. */
export type SettingSource = 'default' | 'agent.toml' | 'environment' | 'Key Vault' | 'unset';
