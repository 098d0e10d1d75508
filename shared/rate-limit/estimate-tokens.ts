/** The parts of a request that determine its size. */
interface TokenEstimateInput {
  /** Every text that is sent to the model, including the instructions. */
  readonly texts: readonly string[];
  /** The bound on the output that is sent to the model. */
  readonly maxOutputTokens: number;
}

/** English text has about four bytes per token; other scripts use more bytes per character. */
const BYTES_PER_TOKEN = 4;
/** Role and separators of one message. */
const TOKENS_PER_TEXT = 4;

/** Upper estimate of the tokens of a request, reserved before the call and settled after it. */
export function estimateTokens({ texts, maxOutputTokens }: TokenEstimateInput): number {
  const bytes = texts.reduce((sum, text) => sum + Buffer.byteLength(text), 0);
  const input = Math.ceil(bytes / BYTES_PER_TOKEN) + texts.length * TOKENS_PER_TEXT;
  return input + maxOutputTokens;
}
