/** The parts of a request that determine its size. */
interface TokenEstimateInput {
  /** Every text that is sent to the model, including the instructions. */
  readonly texts: readonly string[];
  readonly images?: number | undefined;
  /** The bound on the output that is sent to the model. */
  readonly maxOutputTokens: number;
}

/** English text has about four bytes per token; other scripts use more bytes per character. */
const BYTES_PER_TOKEN = 4;
/** Role and separators of one message. */
const TOKENS_PER_TEXT = 4;

/** About the most that models of OpenAI count for an image in high detail. */
const TOKENS_PER_IMAGE = 1_600;

/** Upper estimate of the tokens of a request, reserved before the call and settled after it. */
export function estimateTokens(request: TokenEstimateInput): number {
  const { texts, images = 0, maxOutputTokens } = request;
  const bytes = texts.reduce((sum, text) => sum + Buffer.byteLength(text), 0);
  const input = Math.ceil(bytes / BYTES_PER_TOKEN) + texts.length * TOKENS_PER_TEXT;
  return input + images * TOKENS_PER_IMAGE + maxOutputTokens;
}
