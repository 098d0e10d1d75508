import type { OpenAI } from 'openai';
import { createGuardedFetch } from './guarded-fetch.ts';
import type { ModelEndpoint } from './endpoint.ts';

/**
 * The official client as a transport: it builds the request and finds the address. Retries, time
 * limits, reading and logging are ours; nothing is taken from the environment. The package is
 * loaded with the first client: it is most of what the service would load before it can answer.
 */
export async function createOpenAiClient(
  endpoint: ModelEndpoint,
  send: typeof fetch,
): Promise<OpenAI> {
  const { OpenAI } = await import('openai');
  return new OpenAI({
    baseURL: endpoint.baseUrl,
    // Replaced in each request by the credential of the moment.
    apiKey: 'set-per-request',
    adminAPIKey: null,
    organization: null,
    project: null,
    webhookSecret: null,
    maxRetries: 0,
    logLevel: 'off',
    fetch: createGuardedFetch(send),
  });
}

/** The credential in the header that the endpoint expects. */
export function credentialHeaders(
  endpoint: ModelEndpoint,
  secret: string,
): Record<string, string | null> {
  return endpoint.kind === 'azure' && endpoint.credential === 'key'
    ? { authorization: null, 'api-key': secret }
    : { authorization: `Bearer ${secret}` };
}
