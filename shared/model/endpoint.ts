/** One server that completes chats. */
export interface ModelEndpoint {
  /** Public label for logs and readiness: 'primary', 'fallback-1' or the configured name. */
  readonly name: string;
  readonly kind: 'openai' | 'azure';
  /** Such as https://api.openai.com/v1 or https://x.openai.azure.com/openai/v1. */
  readonly baseUrl: string;
  /** Model or deployment that is sent to the endpoint. An Azure deployment is never shown to callers. */
  readonly model: string;
  /** Returns the key or bearer token; called for each attempt. */
  readonly apiKey: () => Promise<string>;
  /** An Azure key is sent as `api-key`; every other credential is a bearer token. */
  readonly credential?: 'key' | 'token' | undefined;
  /** Model name in responses, instead of the name that the endpoint reports. */
  readonly publicModelName?: string | undefined;
}
