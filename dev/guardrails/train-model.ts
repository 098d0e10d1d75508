import {
  extractFeatures,
  FEATURE_COUNT,
  type FeatureVector,
  type InjectionChannel,
} from '../../shared/guardrails/injection/features.ts';
import { normalise } from '../../shared/guardrails/injection/normalise.ts';
import {
  dotProduct,
  scoreVectors,
  WINDOW_PENALTY,
} from '../../shared/guardrails/prompt-injection.ts';
import { createRandom, type Random } from './grammar.ts';

/** A text as the trainer sees it. */
export interface Example {
  readonly vectors: readonly FeatureVector[];
  readonly label: 0 | 1;
  /** How much it counts. */
  readonly weight: number;
}

/** Chosen by grouped cross-validation among a few values each; docs/guardrails.md has the figures. */
const EPOCHS = 20;
/** Windows count from this epoch on, once there is a model that can tell which one stands out. */
const FIRST_WINDOW_EPOCH = 2;
const RATE = 0.3;
const L2 = 5e-3;
/** A feature of fewer texts says more about these texts than about attacks. */
const MIN_TEXTS = 8;

export function toExample(
  text: string,
  options: { readonly channel: InjectionChannel; readonly label: 0 | 1; readonly weight: number },
): Example {
  const { channel, label, weight } = options;
  return { vectors: [...extractFeatures(text, channel)], label, weight };
}

/**
 * Logistic regression with an L2 penalty by AdaGrad. Of a long text, the part that decides its score
 * is learned from. The same examples and seed give the same weights.
 */
export function train(examples: readonly Example[], seed: number): Float64Array {
  const weights = new Float64Array(FEATURE_COUNT);
  const squares = new Float64Array(FEATURE_COUNT).fill(1e-8);
  const texts = countTexts(examples);
  const random = createRandom(seed);
  const order = [...examples];
  for (let epoch = 0; epoch < EPOCHS; epoch += 1) {
    shuffle(order, random);
    for (const example of order) {
      const part = decisivePart(example, { weights, epoch });
      const error = sigmoid(part.score) - example.label;
      for (const [position, feature] of part.vector.indices.entries()) {
        if ((texts[feature] ?? 0) < MIN_TEXTS) continue;
        const value = part.vector.values[position] ?? 0;
        const gradient = (error * value + L2 * (weights[feature] ?? 0)) * example.weight;
        squares[feature] = (squares[feature] ?? 0) + gradient * gradient;
        weights[feature] =
          (weights[feature] ?? 0) - (RATE * gradient) / Math.sqrt(squares[feature] ?? 1);
      }
    }
  }
  return weights;
}

/** In how many texts each feature occurs. */
function countTexts(examples: readonly Example[]): Uint32Array {
  const counts = new Uint32Array(FEATURE_COUNT);
  for (const { vectors } of examples) {
    for (const feature of vectors[0]?.indices ?? []) counts[feature] = (counts[feature] ?? 0) + 1;
  }
  return counts;
}

function decisivePart(
  { vectors }: Example,
  { weights, epoch }: { readonly weights: Float64Array; readonly epoch: number },
): { readonly vector: FeatureVector; readonly score: number } {
  const [whole, ...windows] = vectors;
  if (whole === undefined) throw new RangeError('Cannot train on a text without features');
  let best = { vector: whole, score: dotProduct(whole, weights) };
  if (epoch < FIRST_WINDOW_EPOCH) return best;
  for (const vector of windows) {
    const score = dotProduct(vector, weights) - WINDOW_PENALTY;
    if (score > best.score) best = { vector, score };
  }
  return best;
}

/** The probability that a model gives to a text. */
export function predict(vectors: Iterable<FeatureVector>, weights: Float64Array): number {
  return sigmoid(scoreVectors(vectors, weights));
}

function sigmoid(score: number): number {
  return 1 / (1 + Math.exp(-score));
}

function shuffle(items: Example[], random: Random): void {
  for (let index = items.length - 1; index > 0; index -= 1) {
    const other = Math.floor(random() * (index + 1));
    const [a, b] = [items[index], items[other]];
    if (a === undefined || b === undefined) continue;
    items[index] = b;
    items[other] = a;
  }
}

/** So many of the shorter text's word triples in common make two texts one group. */
const SAME_GROUP = 0.4;

/**
 * Groups of texts that share passages, such as the same document with another attack: all texts of a
 * group must be on one side of a split, or the validation measures memory.
 */
export function groupByPassages(texts: readonly string[]): number[] {
  const passages = texts.map(passagesOf);
  const parents = texts.map((_, index) => index);
  const rootOf = (index: number): number => {
    const parent = parents[index] ?? index;
    return parent === index ? index : rootOf(parent);
  };
  for (const [index, own] of passages.entries()) {
    for (let other = 0; other < index; other += 1) {
      if (sharedPart(own, passages[other] ?? new Set()) >= SAME_GROUP) {
        parents[rootOf(index)] = rootOf(other);
      }
    }
  }
  return texts.map((_, index) => rootOf(index));
}

function passagesOf(text: string): Set<string> {
  const words = normalise(text).match(/[\p{L}\p{N}]+/gu) ?? [text];
  return new Set(words.map((_, index) => words.slice(index, index + 3).join(' ')));
}

function sharedPart(a: ReadonlySet<string>, b: ReadonlySet<string>): number {
  const shared = [...a].filter((passage) => b.has(passage)).length;
  return shared / Math.max(1, Math.min(a.size, b.size));
}
