import * as z from 'zod';

/** Far above what the platform sends, far below what would cost time to parse. */
const MAX_HEADER_CHARS = 32_768;

const principalSchema = z.object({
  claims: z.array(z.object({ typ: z.string(), val: z.string() })),
});

const OBJECT_ID = ['oid', 'http://schemas.microsoft.com/identity/claims/objectidentifier'];
const TENANT_ID = ['tid', 'http://schemas.microsoft.com/identity/claims/tenantid'];
const GUID = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;

/**
 * The identity in the header that Easy Auth writes: tenant and object id, which nobody can choose
 * and which outlive a change of name. Undefined where the header is not one of Entra's.
 */
export function entraPrincipal(header: string): string | undefined {
  if (header.length > MAX_HEADER_CHARS) return undefined;
  const parsed = principalSchema.safeParse(parseBase64Json(header));
  if (!parsed.success) return undefined;
  const tenant = claimOf(parsed.data.claims, TENANT_ID);
  const object = claimOf(parsed.data.claims, OBJECT_ID);
  return tenant === undefined || object === undefined ? undefined : `${tenant}/${object}`;
}

function claimOf(
  claims: readonly { readonly typ: string; readonly val: string }[],
  types: readonly string[],
): string | undefined {
  const values = claims.filter(({ typ }) => types.includes(typ)).map(({ val }) => val);
  const [first] = values;
  // Two different answers to "who is it" are none.
  if (first === undefined || values.some((value) => value !== first)) return undefined;
  return GUID.test(first) ? first.toLowerCase() : undefined;
}

function parseBase64Json(text: string): unknown {
  try {
    return JSON.parse(Buffer.from(text, 'base64').toString('utf8'));
  } catch {
    return undefined;
  }
}
