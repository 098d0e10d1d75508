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
