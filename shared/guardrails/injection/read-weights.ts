import { FEATURE_COUNT, FEATURE_GROUPS } from './features.ts';
import { SCALES, WEIGHTS } from './weights.ts';

let weights: Float32Array | undefined;

/** The weights of the model, decoded with the first call. Throws a RangeError for another layout. */
export function readWeights(): Float32Array {
  weights ??= decodeWeights();
  return weights;
}

function decodeWeights(): Float32Array {
  const bytes = new Int8Array(Buffer.from(WEIGHTS, 'base64'));
  if (bytes.length !== FEATURE_COUNT) {
    throw new RangeError(
      `Cannot read the weights as ${FEATURE_COUNT} are needed: there are ${bytes.length}`,
    );
  }
  const decoded = new Float32Array(FEATURE_COUNT);
  for (const [group, scale] of SCALES.entries()) {
    const end = FEATURE_GROUPS[group + 1] ?? FEATURE_COUNT;
    for (let index = FEATURE_GROUPS[group] ?? 0; index < end; index += 1) {
      decoded[index] = (bytes[index] ?? 0) * scale;
    }
  }
  return decoded;
}
