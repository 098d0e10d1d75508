import { type WordClass, WORD_CLASSES } from './lexicon.ts';
import { normalise } from './normalise.ts';
import { densitySign, findSigns, lengthSign, SIGN_COUNT } from './signs.ts';
import { GRAM_BUCKETS, tokenAt, tokenise, type Token } from './tokens.ts';

/** Who wrote a text: the caller, or a source that the caller or a tool brought. */
export type InjectionChannel = 'user' | 'document';

/** Buckets of hashed triples of word classes. A power of two. */
const TRIPLE_BUCKETS = 1 << 12;
const CLASSES = WORD_CLASSES.length;
/** Classes that are present, that follow soon, that follow at once, and triples. */
const SOON = CLASSES;
const NEXT = SOON + CLASSES * CLASSES;
const TRIPLES = NEXT + CLASSES * CLASSES;
const CLASS_FEATURES = TRIPLES + TRIPLE_BUCKETS;

/** Where each group begins. Documents have weights of their own beside the common ones. */
const CLASS_START = GRAM_BUCKETS;
const SIGN_START = CLASS_START + 2 * CLASS_FEATURES;
const BIAS = SIGN_START + 2 * SIGN_COUNT;

export const FEATURE_COUNT = BIAS + 1;

/** The groups that are quantised by themselves: each ends where the next one begins. */
export const FEATURE_GROUPS: readonly number[] = [0, CLASS_START, SIGN_START, FEATURE_COUNT];

/** How much one feature of a group can move the score, relative to the others. */
const CLASS_VALUE = 0.5;
const SIGN_VALUE = 0.5;
/** So many tokens later a class no longer belongs to another one. */
const SOON_TOKENS = 6;
const TRIPLE_TOKENS = 4;
/** The first tokens are scored as a whole; texts of training are seldom longer. */
const WHOLE_TOKENS = 480;
/** A longer text is also scored in windows, so that an attack in a long document counts. */
const WINDOW_TOKENS = 48;

/** Features of a text or a part of it: `values[i]` belongs to the feature `indices[i]`. */
export interface FeatureVector {
  readonly indices: Int32Array;
  readonly values: Float32Array;
}

/** The features of a text's beginning, then of each window. Takes linear time. */
export function* extractFeatures(
  text: string,
  channel: InjectionChannel,
): Generator<FeatureVector, void, void> {
  const plain = normalise(text);
  const tokens = tokenise(plain);
  const signs = findSigns(text, plain).map(({ index, position }) => ({
    index,
    token: position === undefined ? undefined : tokenAt(tokens, position),
  }));
  const collect = createCollector({ tokens, signs, isDocument: channel === 'document' });
  yield collect(0, Math.min(tokens.length, WHOLE_TOKENS));
  if (tokens.length <= WINDOW_TOKENS * 1.25) return;
  for (let from = 0; from + WINDOW_TOKENS / 2 < tokens.length; from += WINDOW_TOKENS / 2) {
    yield collect(from, Math.min(tokens.length, from + WINDOW_TOKENS));
  }
}

interface CollectorOptions {
  readonly tokens: readonly Token[];
  readonly signs: readonly { readonly index: number; readonly token: number | undefined }[];
  readonly isDocument: boolean;
}

function createCollector({ tokens, signs, isDocument }: CollectorOptions) {
  const vector = createVector();
  return (from: number, to: number): FeatureVector => {
    for (let index = from; index < to; index += 1) {
      const token = tokens[index];
      if (token === undefined) break;
      vector.count(token.word);
      vector.count(token.pair);
    }
    vector.endBlock();
    for (let index = from; index < to; index += 1) {
      for (const letters of tokens[index]?.letters ?? []) vector.count(letters);
    }
    vector.endBlock();
    const mark = (feature: number): void => {
      vector.set(CLASS_START + feature, CLASS_VALUE);
      if (isDocument) vector.set(CLASS_START + CLASS_FEATURES + feature, CLASS_VALUE);
    };
    for (let index = from; index < to; index += 1) markClasses(mark, { tokens, index, to });
    for (const index of [...signsWithin(signs, { from, to }), ...sizeSigns(tokens, { from, to })]) {
      vector.set(SIGN_START + index, SIGN_VALUE);
      if (isDocument) vector.set(SIGN_START + SIGN_COUNT + index, SIGN_VALUE);
    }
    vector.set(BIAS, 1);
    return vector.take();
  };
}

function signsWithin(
  signs: CollectorOptions['signs'],
  { from, to }: { readonly from: number; readonly to: number },
): number[] {
  return signs
    .filter(({ token }) => token === undefined || (token >= from && token < to))
    .map(({ index }) => index);
}

/** Collects one vector after another in the same buffers: a window costs no more than its tokens. */
function createVector() {
  const values = new Float32Array(FEATURE_COUNT);
  const counts = new Uint16Array(GRAM_BUCKETS);
  let found: number[] = [];
  let block: number[] = [];

  /** Adds the counted n-grams by their logarithms; a long block weighs as much as a short one. */
  function endBlock(): void {
    let squares = 0;
    for (const gram of block) squares += weightOf(counts[gram] ?? 0) ** 2;
    const scale = 1 / Math.sqrt(squares || 1);
    for (const gram of block) {
      if (values[gram] === 0) found.push(gram);
      values[gram] = (values[gram] ?? 0) + weightOf(counts[gram] ?? 0) * scale;
      counts[gram] = 0;
    }
    block = [];
  }

  return {
    count(gram: number): void {
      if (counts[gram] === 0) block.push(gram);
      counts[gram] = (counts[gram] ?? 0) + 1;
    },
    endBlock,
    set(feature: number, value: number): void {
      if (values[feature] === 0) found.push(feature);
      values[feature] = value;
    },
    take(): FeatureVector {
      const indices = Int32Array.from(found);
      const taken = new Float32Array(indices.length);
      for (const [position, feature] of found.entries()) {
        taken[position] = values[feature] ?? 0;
        values[feature] = 0;
      }
      found = [];
      return { indices, values: taken };
    },
  };
}

function weightOf(count: number): number {
  return count === 1 ? 1 : 1 + Math.log(count);
}

interface TokenPlace {
  readonly tokens: readonly Token[];
  readonly index: number;
  /** The first token that no longer belongs to the part. */
  readonly to: number;
}

/** Marks the classes of a token, and how the classes of the next tokens follow them. */
function markClasses(mark: (feature: number) => void, { tokens, index, to }: TokenPlace): void {
  const classes = tokens[index]?.classes ?? NO_CLASSES;
  if (classes.length === 0) return;
  for (const first of classes) mark(first);
  const end = Math.min(to, index + SOON_TOKENS + 1);
  for (let next = index + 1; next < end; next += 1) {
    const token = tokens[next];
    if (token === undefined || token.endsSentence) return;
    for (const second of token.classes) {
      for (const first of classes) {
        if (first === second) continue;
        mark(SOON + first * CLASSES + second);
        if (next === index + 1) mark(NEXT + first * CLASSES + second);
        markTriples(mark, { tokens, index: next, to, first, second });
      }
    }
  }
}

function markTriples(
  mark: (feature: number) => void,
  place: TokenPlace & { readonly first: number; readonly second: number },
): void {
  const { tokens, index, to, first, second } = place;
  const end = Math.min(to, index + TRIPLE_TOKENS + 1);
  for (let after = index + 1; after < end; after += 1) {
    for (const third of tokens[after]?.classes ?? NO_CLASSES) {
      if (third !== second && third !== first) mark(TRIPLES + bucketOf(first, second, third));
    }
  }
}

const NO_CLASSES: readonly number[] = [];

function bucketOf(first: number, second: number, third: number): number {
  const mixed = Math.imul((first * CLASSES + second) * CLASSES + third + 1, 0x9e3779b1);
  return (mixed ^ (mixed >>> 15)) & (TRIPLE_BUCKETS - 1);
}

/** Harmful words, words to the reader, words about instructions. */
const DENSITIES = [
  classIndices('freed', 'limits', 'refuse', 'violence'),
  classIndices('you', 'model', 'always'),
  classIndices('override', 'prior', 'instruction', 'reveal', 'prompt'),
];

function classIndices(...names: readonly WordClass[]): ReadonlySet<number> {
  return new Set(names.map((name) => WORD_CLASSES.indexOf(name)));
}

function sizeSigns(
  tokens: readonly Token[],
  { from, to }: { readonly from: number; readonly to: number },
): number[] {
  const words = [0, 0, 0];
  for (let index = from; index < to; index += 1) {
    for (const [kind, group] of DENSITIES.entries()) {
      if (tokens[index]?.classes.some((one) => group.has(one)))
        words[kind] = (words[kind] ?? 0) + 1;
    }
  }
  const size = to - from;
  return [
    lengthSign(size),
    ...words.map((count, kind) => densitySign(kind, { words: count, tokens: size })),
  ];
}
