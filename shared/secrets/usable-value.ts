/** A vault keeps at most 25 kB; no key or address of this product comes near it. */
const MAX_SECRET_BYTES = 24 * 1024;

export type UsableValue =
  | { readonly value: string }
  | { readonly value: undefined; readonly reason: 'empty' | 'too large' };

/**
 * Surrounding white space goes, line ends included: files and portals add them, and a header that
 * holds one is refused. What is empty then counts as missing.
 */
export function usableValue(raw: string | undefined): UsableValue {
  const value = raw?.trim() ?? '';
  if (value === '') return { value: undefined, reason: 'empty' };
  if (Buffer.byteLength(value) > MAX_SECRET_BYTES) return { value: undefined, reason: 'too large' };
  return { value };
}
