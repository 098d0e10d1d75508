import * as z from 'zod';
import { parseJson } from '../json.ts';

const urlSchema = z.string().transform((text, context) => {
  const url = readPlainUrl(text, ['http:', 'https:']);
  if (url !== undefined) return url;
  context.addIssue('must be a plain address');
  return z.NEVER;
});
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
  .strictObject({ name, baseUrl: urlSchema, model: z.string().min(1), ...key })
  .refine((one) => one.apiKey !== undefined || one.apiKeySecret !== undefined);
const azureSchema = z.strictObject({
  name,
  azureEndpoint: urlSchema,
  deployment: z.string().min(1),
  ...key,
});

const fallbacksSchema = z
  .array(z.union([openAiSchema, azureSchema]))
  .max(8)
  .refine((list) => new Set(list.map((one) => one.name)).size === list.length);

/** An endpoint that is asked when those before it fail. */
export type ModelFallback = z.infer<typeof fallbacksSchema>[number];

export const FALLBACKS_EXPECTED =
  'a JSON array of at most 8 objects with their own "name", and either "baseUrl" and "model" or "azureEndpoint" and "deployment", and "apiKey" or "apiKeySecret" (neither: managed identity, Azure only); addresses without credentials, query or fragment';

/** The value of MODEL_FALLBACKS, or undefined when it is not what FALLBACKS_WANTED says. */
export function parseFallbacks(text: string): readonly ModelFallback[] | undefined {
  return fallbacksSchema.safeParse(parseJson(text)).data;
}

/** The secrets of the vault that the fallbacks name. */
export function fallbackSecrets(text: string | undefined): readonly string[] {
  const fallbacks = text === undefined ? [] : (parseFallbacks(text) ?? []);
  return fallbacks.flatMap(({ apiKeySecret }) =>
    apiKeySecret === undefined ? [] : [apiKeySecret],
  );
}

/**
 * An address without credentials, query or fragment, as the parser writes it: so that what was
 * checked is what is used. Undefined for any other text.
 */
export function readPlainUrl(text: string, protocols: readonly string[]): string | undefined {
  const url = /[\s?#]/.test(text) ? null : URL.parse(text);
  if (url === null || !protocols.includes(url.protocol)) return undefined;
  if (url.username !== '' || url.password !== '') return undefined;
  return url.href.replace(/\/+$/, '');
}
