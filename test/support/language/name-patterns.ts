import {
  ALLOWED_NAMES,
  PRODUCT_WORDS,
  RETIRED_NAMES,
  RETIRED_PRODUCT_NAMES,
  type RetiredNames,
} from './retired-names.ts';

type Matcher = (name: string, words: string) => boolean;

const RETIRED = toMatchers(RETIRED_NAMES);
const RETIRED_IN_PRODUCT = [...RETIRED, ...toMatchers(RETIRED_PRODUCT_NAMES)];
/** The same names occur thousands of times. */
const known = new Map<string, string | undefined>();

/** The standard term for a retired name in a file; undefined for every other name. */
export function standardFor(name: string, path: string): string | undefined {
  const isProduct = /^(?:functions|shared)\//.test(path);
  const key = `${isProduct} ${name}`;
  if (!known.has(key)) known.set(key, findStandard(name, isProduct ? RETIRED_IN_PRODUCT : RETIRED));
  return known.get(key);
}

function findStandard(
  name: string,
  retired: readonly (readonly [Matcher, string])[],
): string | undefined {
  if (ALLOWED_NAMES.has(name)) return undefined;
  const words = PRODUCT_WORDS.reduce(
    (text, product) => text.replaceAll(product, 'product'),
    `${splitWords(name).join(' ')} `,
  );
  return retired.find(([matches]) => matches(name, words))?.[1];
}

function toMatchers(names: RetiredNames): [Matcher, string][] {
  return Object.entries(names).map(([pattern, standard]) => [toMatcher(pattern), standard]);
}

function toMatcher(pattern: string): Matcher {
  if (/^[A-Z]/.test(pattern)) return (name) => name === pattern;
  if (/^\*[A-Z]/.test(pattern)) {
    const ending = pattern.slice(1);
    return (name) => /^[A-Z]/.test(name) && name.endsWith(ending);
  }
  const source = pattern.split(' ').map((word) => (word === '*' ? '(?:\\w+ )*' : `${word} `));
  const expression = new RegExp(`^${source.join('')}$`);
  return (_, words) => expression.test(words);
}

/** `clientLeft`, `ClientLeftError`, `CLIENT_LEFT` and `client-left` in words of lower case. */
function splitWords(name: string): string[] {
  return name
    .split(/[^A-Za-z0-9]+|(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])/)
    .filter((word) => word !== '')
    .map((word) => word.toLowerCase());
}
