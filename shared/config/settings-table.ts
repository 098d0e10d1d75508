interface SettingBase {
  /** The environment variable. */
  readonly name: string;
  /** One line for docs/configuration.md. */
  readonly purpose: string;
  /** Secrets are never printed, logged or described. */
  readonly secret?: true;
}

export type Setting = SettingBase &
  (
    | { readonly kind: 'text'; readonly default?: string }
    | { readonly kind: 'url'; readonly default?: string }
    | { readonly kind: 'choice'; readonly choices: readonly string[]; readonly default: string }
    | {
        readonly kind: 'integer';
        readonly default: number;
        readonly min: number;
        readonly max: number;
        readonly unit: string;
      }
  );

/** Every setting of the product: what is not here is not read. */
export const SETTINGS = {
  openAiApiKey: {
    name: 'OPENAI_API_KEY',
    kind: 'text',
    secret: true,
    purpose: 'Key of the model endpoint. With Azure OpenAI leave it unset to use managed identity.',
  },
  openAiBaseUrl: {
    name: 'OPENAI_BASE_URL',
    kind: 'url',
    purpose: 'Base URL of any OpenAI-compatible endpoint; OpenAI itself when unset.',
  },
  openAiModel: {
    name: 'OPENAI_MODEL',
    kind: 'text',
    default: 'gpt-5.4-mini',
    purpose: 'Model to ask for at that endpoint.',
  },
  azureOpenAiEndpoint: {
    name: 'AZURE_OPENAI_ENDPOINT',
    kind: 'url',
    purpose:
      'Azure OpenAI resource, such as https://NAME.openai.azure.com. Chosen over OpenAI when set.',
  },
  azureOpenAiDeployment: {
    name: 'AZURE_OPENAI_DEPLOYMENT',
    kind: 'text',
    purpose: 'Model deployment of that resource.',
  },
  azureClientId: {
    name: 'AZURE_CLIENT_ID',
    kind: 'text',
    purpose: 'Client id of the user-assigned managed identity.',
  },
  storageConnection: {
    name: 'AzureWebJobsStorage',
    kind: 'text',
    secret: true,
    purpose:
      'Connection string of the storage account of batch jobs. Local only; Azure uses the two URIs below.',
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
  logLevel: {
    name: 'AGENT__TELEMETRY__LOG_LEVEL',
    kind: 'choice',
    choices: ['debug', 'info', 'warn', 'error'],
    default: 'info',
    purpose: 'Lowest level that is logged.',
  },
  maxRequestBytes: {
    name: 'AGENT__LIMITS__MAX_REQUEST_BYTES',
    kind: 'integer',
    default: 262_144,
    min: 1_024,
    max: 4_194_304,
    unit: 'bytes',
    purpose: 'Largest request body of a chat.',
  },
  answerDeadlineMs: {
    name: 'AGENT__LIMITS__ANSWER_DEADLINE_MS',
    kind: 'integer',
    default: 60_000,
    min: 100,
    max: 220_000,
    unit: 'milliseconds',
    purpose: 'Longest time for a whole answer, retries included.',
  },
  streamDeadlineMs: {
    name: 'AGENT__LIMITS__STREAM_DEADLINE_MS',
    kind: 'integer',
    default: 210_000,
    min: 100,
    max: 220_000,
    unit: 'milliseconds',
    purpose: 'Longest time for a streamed answer; the front end of the platform cuts at 230 s.',
  },
  heartbeatMs: {
    name: 'AGENT__LIMITS__HEARTBEAT_MS',
    kind: 'integer',
    default: 15_000,
    min: 50,
    max: 60_000,
    unit: 'milliseconds',
    purpose: 'Longest silence on a stream before a comment is sent.',
  },
  batchConcurrency: {
    name: 'AGENT__BATCH__CONCURRENCY',
    kind: 'integer',
    default: 8,
    min: 1,
    max: 256,
    unit: 'items',
    purpose: 'Items of one job that run at once on an instance.',
  },
  batchDeadlineMs: {
    name: 'AGENT__BATCH__DEADLINE_MS',
    kind: 'integer',
    default: 200_000,
    min: 100,
    max: 1_740_000,
    unit: 'milliseconds',
    purpose:
      'Time after which a job stops taking items and hands itself over; must leave a whole answer of room below functionTimeout.',
  },
} as const satisfies Record<string, Setting>;
