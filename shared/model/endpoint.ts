/** One place that answers chat completions. */
export interface ModelEndpoint {
  /** Public label for logs and readiness: 'primary', 'fallback-1' or the configured name. */
  readonly name: string;
  readonly kind: 'openai' | 'azure';
  /** Full base, such as https://api.openai.com/v1 or https://x.openai.azure.com/openai/v1. */
  readonly baseUrl: string;
  /** Model or deployment that is sent upstream; never shown to callers for an Azure endpoint. */
  readonly model: string;
  /** Key or bearer token, asked for each attempt. */
  readonly apiKey: () => Promise<string>;
  /** An Azure key goes into a header of its own; everything else is a bearer token. */
  readonly credential?: 'key' | 'token' | undefined;
  /** What answers call the model, instead of what the upstream calls it. */
  readonly publicModelName?: string | undefined;
}

/** Where chat completions of an endpoint are asked for. */
export function completionsAddress({ baseUrl }: Pick<ModelEndpoint, 'baseUrl'>): string {
  return `${baseUrl.replace(/\/+$/, '')}/chat/completions`;
}
