import { type Finding, startOfLastWords, type TextFilter } from './stream-redactor.ts';

interface LinkFinding extends Finding {
  readonly replacement: string;
}

interface LinkOptions {
  /** DNS names, or `*.` and a DNS name for all names below it. */
  readonly allowedHosts: readonly string[];
}

/** A Markdown link or image: the text and the destination. */
const MARKDOWN =
  /(!?)\[([^[\]]{0,500})\]\(\s{0,8}<?((?:[^\s()<>]|\([^\s()<>]{0,200}\)){0,2048})>?(?:\s[^()]{0,200})?\)/g;
/** The destination of a reference such as `[1]: https://…`. */
const REFERENCE = /\[[^[\]\n]{1,200}\]:\s{0,8}<?([^\s<>]{1,2048})>?/g;
/** Elements that a browser loads by itself. */
const LOADED =
  /<(?:img|image|source|iframe|video|audio|embed|object|link|script|input|picture)\b[^<>]{0,2048}>/gi;
const ANCHOR = /<a\b[^<>]{0,2048}>/gi;
const BARE =
  /\b(?:https?|ftp|wss?|data|javascript|vbscript|file):[^\s<>"'`)\]]{1,2048}|\bwww\.[^\s<>"'`)\]]{1,2048}/gi;
const ADDRESS = /(?:src|href|data|action)\s{0,4}=\s{0,4}["']?([^\s"'<>]{0,2048})/gi;

/** Images and what else a client loads when it shows an answer. */
export function imagesFilter({ allowedHosts }: LinkOptions): TextFilter<LinkFinding> {
  const isAllowed = createHostCheck(allowedHosts);
  return {
    contextChars: 16,
    find: (text) =>
      inOrder([
        ...findMarkdown(text, { isImage: true, isAllowed }),
        ...findElements(text, { pattern: LOADED, isAllowed, replacement: '[image]' }),
        ...findReferences(text, isAllowed),
      ]),
    openFrom: startOfOpenLink,
    replace: (_value, { replacement }) => replacement,
  };
}

/** Links that a reader can follow, in Markdown, in HTML or as bare addresses. */
export function linksFilter({ allowedHosts }: LinkOptions): TextFilter<LinkFinding> {
  const isAllowed = createHostCheck(allowedHosts);
  return {
    contextChars: 16,
    find(text) {
      // An address within an image is for the other filter.
      const images = findMarkdown(text, { isImage: true, isAllowed: () => false });
      const bare = [...text.matchAll(BARE)]
        .filter(([address]) => !isAllowed(address))
        .map(({ 0: address, index }) => ({
          start: index,
          end: index + address.length,
          replacement: '[link]',
        }))
        .filter(({ start }) => !images.some((image) => image.start <= start && start < image.end));
      return inOrder([
        ...findMarkdown(text, { isImage: false, isAllowed }),
        ...findElements(text, { pattern: ANCHOR, isAllowed, replacement: '' }),
        ...findReferences(text, isAllowed),
        ...bare,
      ]);
    },
    openFrom: startOfOpenLink,
    replace: (_value, { replacement }) => replacement,
  };
}

/** In order; keeps the first of findings that overlap. */
function inOrder(findings: readonly LinkFinding[]): LinkFinding[] {
  const kept: LinkFinding[] = [];
  for (const finding of findings.toSorted((a, b) => a.start - b.start)) {
    if (finding.start >= (kept.at(-1)?.end ?? 0)) kept.push(finding);
  }
  return kept;
}

type HostCheck = (address: string) => boolean;

interface MarkdownOptions {
  readonly isImage: boolean;
  readonly isAllowed: HostCheck;
}

function findMarkdown(text: string, { isImage, isAllowed }: MarkdownOptions): LinkFinding[] {
  if (!text.includes('](')) return [];
  return [...text.matchAll(MARKDOWN)]
    .filter(([, mark, , address = '']) => (mark === '!') === isImage && !isAllowed(address))
    .map(({ 0: link, 2: label = '', index }) => ({
      start: index,
      end: index + link.length,
      replacement: isImage ? '[image]' : label,
    }));
}

interface ElementOptions {
  readonly pattern: RegExp;
  readonly isAllowed: HostCheck;
  readonly replacement: string;
}

function findElements(
  text: string,
  { pattern, isAllowed, replacement }: ElementOptions,
): LinkFinding[] {
  if (!text.includes('<')) return [];
  return [...text.matchAll(pattern)]
    .filter(([element]) => {
      const addresses = [...element.matchAll(ADDRESS)].map(([, address = '']) => address);
      return /srcset|style|url\s?\(/i.test(element) || !addresses.every(isAllowed);
    })
    .map(({ 0: element, index }) => ({ start: index, end: index + element.length, replacement }));
}

function findReferences(text: string, isAllowed: HostCheck): LinkFinding[] {
  if (!text.includes(']:')) return [];
  return [...text.matchAll(REFERENCE)]
    .filter(([, address = '']) => /[:&\\]|^\/\//.test(address) && !isAllowed(address))
    .map(({ 0: definition, index }) => ({
      start: index,
      end: index + definition.length,
      replacement: '',
    }));
}

/** Allowed are the hosts, and paths of the client's own page. */
function createHostCheck(allowedHosts: readonly string[]): HostCheck {
  return (address) => {
    if (!/^[\\/]{2}|[:&\\]/.test(address) && !/^www\./i.test(address)) return true;
    const url = URL.parse(/^www\./i.test(address) ? `https://${address}` : address);
    if (url?.protocol !== 'https:' && url?.protocol !== 'http:') return false;
    if (url.username !== '' || url.password !== '') return false;
    return allowedHosts.some((host) =>
      host.startsWith('*.') ? url.hostname.endsWith(host.slice(1)) : url.hostname === host,
    );
  };
}

/** More than this is never held back. */
const MAX_BUFFERED_LINK_CHARS = 3_000;
const OPEN_LINK =
  /!?\[[^[\]]{0,500}(?:\](?:\((?:[^()]|\([^()]{0,200}(?:\)|$)){0,2300}|:\s{0,8}<?[^\s<>]{0,2048})?)?$|<[^<>]{0,2100}$/;

/** The last word, which may become an address, or a link or element that is not closed. */
function startOfOpenLink(text: string): number {
  const limit = Math.max(0, text.length - MAX_BUFFERED_LINK_CHARS);
  const start = startOfLastWords(text, { words: 1, maxChars: 2 * MAX_BUFFERED_LINK_CHARS });
  const open = text.slice(limit).search(OPEN_LINK);
  return open < 0 ? start : Math.min(start, limit + open);
}
