import {
  extractFeatures,
  FEATURE_COUNT,
  FEATURE_GROUPS,
  type FeatureVector,
  type InjectionChannel,
} from './injection/features.ts';
import { findHiddenTexts } from './injection/hidden-texts.ts';
import { SCALES, WEIGHTS } from './injection/weights.ts';

/** A text that the model would read, and who wrote it. */
export interface InputText {
  readonly text: string;
  readonly role: 'user' | 'assistant' | 'tool';
}

/** What is no message of the user should not instruct at all. */
export function channelOf({ role }: InputText): InjectionChannel {
  return role === 'user' ? 'user' : 'document';
}

/** A window has to be so much surer than the whole text, because there are many of them. */
export const WINDOW_PENALTY = 1;

export interface InjectionOptions {
  /** Who wrote the text. Documents and the output of tools should not instruct at all. */
  readonly channel: InjectionChannel;
}

/**
 * How likely a text is an attempt to take over the instructions of a model, from 0 to 1; from 0.5
 * it is more likely than not. A linear model over n-grams and word classes scores the text, its
 * windows and what is encoded in it. Takes time linear in the length of the text. The weights are
 * read with the first call. See docs/guardrails.md for how often it is right.
 */
export function detectInjection(text: string, { channel }: InjectionOptions): number {
  const scores = [text, ...findHiddenTexts(text)].map((view) =>
    scoreVectors(extractFeatures(view, channel), readWeights()),
  );
  return 1 / (1 + Math.exp(-Math.max(...scores)));
}

/** The score of a text in logits: the whole, which comes first, or the window that stands out. */
export function scoreVectors(vectors: Iterable<FeatureVector>, weights: ArrayLike<number>): number {
  let score = Number.NEGATIVE_INFINITY;
  let penalty = 0;
  for (const vector of vectors) {
    score = Math.max(score, dotProduct(vector, weights) - penalty);
    penalty = WINDOW_PENALTY;
  }
  return score;
}

export function dotProduct({ indices, values }: FeatureVector, weights: ArrayLike<number>): number {
  let sum = 0;
  for (let index = 0; index < indices.length; index += 1) {
    sum += (weights[indices[index] ?? 0] ?? 0) * (values[index] ?? 0);
  }
  return sum;
}

let decoded: Float32Array | undefined;

/** The weights of the model. Throws a RangeError if they belong to other features. */
function readWeights(): Float32Array {
  decoded ??= decodeWeights();
  return decoded;
}

function decodeWeights(): Float32Array {
  const bytes = new Int8Array(Buffer.from(WEIGHTS.join(''), 'base64'));
  if (bytes.length !== FEATURE_COUNT) {
    throw new RangeError(
      `Cannot read the weights as there must be ${FEATURE_COUNT}: there are ${bytes.length}`,
    );
  }
  const weights = new Float32Array(FEATURE_COUNT);
  for (const [group, scale] of SCALES.entries()) {
    const end = FEATURE_GROUPS[group + 1] ?? FEATURE_COUNT;
    for (let index = FEATURE_GROUPS[group] ?? 0; index < end; index += 1) {
      weights[index] = (bytes[index] ?? 0) * scale;
    }
  }
  return weights;
}
