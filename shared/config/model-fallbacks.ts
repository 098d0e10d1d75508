import * as z from 'zod';
import { parseJson } from '../json.ts';

const baseUrlSchema = z.string().transform(orIssue(readModelBaseUrl));
const azureEndpointSchema = z.string().transform(orIssue(readAzureEndpoint));
const key = {
  apiKey: z
    .string()
    .regex(/^[\x21-\x7e]{1,4096}$/)
    .optional(),
  /** The name of a secret in Key Vault. */
  apiKeySecret: z
    .string()
    .regex(/^[0-9A-Za-z-]{1,127}$/)
    .optional(),
};
const name = z.string().regex(/^[\w.-]{1,64}$/);

const openAiSchema = z
  .strictObject({ name, baseUrl: baseUrlSchema, model: z.string().min(1), ...key })
  .refine((one) => one.apiKey !== undefined || one.apiKeySecret !== undefined);
const azureSchema = z.strictObject({
  name,
  azureEndpoint: azureEndpointSchema,
  deployment: z.string().min(1),
  ...key,
});

const fallbacksSchema = z
  .array(z.union([openAiSchema, azureSchema]))
  .max(8)
  .refine((list) => new Set(list.map((one) => one.name)).size === list.length);

/** A fallback endpoint, in failover order. */
export type ModelFallback = z.infer<typeof fallbacksSchema>[number];

export const FALLBACKS_EXPECTED =
  'a JSON array of at most 8 objects with their own "name", and either "baseUrl" and "model" or "azureEndpoint" and "deployment", and "apiKey" or "apiKeySecret" (neither: managed identity, Azure only); URLs without credentials, query or fragment';

/** Parses MODEL_FALLBACKS; undefined if it is not as FALLBACKS_EXPECTED says. */
export function parseFallbacks(text: string): readonly ModelFallback[] | undefined {
  return fallbacksSchema.safeParse(parseJson(text)).data;
}

/** The vault secrets that the fallbacks reference. */
export function fallbackSecrets(text: string | undefined): readonly string[] {
  const fallbacks = text === undefined ? [] : (parseFallbacks(text) ?? []);
  return fallbacks.flatMap(({ apiKeySecret }) =>
    apiKeySecret === undefined ? [] : [apiKeySecret],
  );
}

/**
 * Parses a URL without credentials, query or fragment and returns it in normalised form, so that
 * the checked URL is the one that is used. Undefined for any other text.
 */
export function readPlainUrl(text: string, protocols: readonly string[]): string | undefined {
  const url = /[\s?#]/.test(text) ? null : URL.parse(text);
  if (url === null || !protocols.includes(url.protocol)) return undefined;
  if (url.username !== '' || url.password !== '') return undefined;
  return url.href.replace(/\/+$/, '');
}

/**
 * The URL of an MCP server: https, or http to this machine. It may have a query, with which some
 * servers choose their tools. Undefined for any other text.
 */
export function readMcpUrl(text: string): string | undefined {
  const url = /[\s#]/.test(text) ? null : URL.parse(text);
  if (url === null || url.username !== '' || url.password !== '') return undefined;
  const isLoopback = ['localhost', '127.0.0.1', '[::1]'].includes(url.hostname);
  return url.protocol === 'https:' || (url.protocol === 'http:' && isLoopback)
    ? url.href
    : undefined;
}

/** The paths of operations, which people copy together with the address. */
const OPERATION = /\/(?:chat\/completions|completions|responses|embeddings|models)$/i;
const OPENAI_HOST = 'https://api.openai.com';

/** The base URL of an OpenAI-compatible endpoint, without the path of an operation. */
export function readModelBaseUrl(text: string): string | undefined {
  const url = readPlainUrl(text, ['https:', 'http:'])?.replace(OPERATION, '');
  return url === OPENAI_HOST ? `${url}/v1` : url;
}

/** The path that this service appends, as some pages of the portal show it. */
const V1_PATH = /\/openai(?:\/v1)?$/i;

/**
 * The URL of an Azure OpenAI resource, or of a gateway in front of it. Undefined for the URL of a
 * deployment, because the deployment is a setting of its own.
 */
export function readAzureEndpoint(text: string): string | undefined {
  const url = readModelBaseUrl(text)?.replace(V1_PATH, '');
  return url === undefined || /\/openai\//i.test(url) ? undefined : url;
}

function orIssue(read: (text: string) => string | undefined) {
  return (text: string, context: z.RefinementCtx): string => {
    const url = read(text);
    if (url !== undefined) return url;
    context.addIssue('must be a plain URL');
    return z.NEVER;
  };
}
