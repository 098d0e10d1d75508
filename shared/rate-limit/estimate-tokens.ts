/** What a request is made of, as far as its size goes. */
export interface TokenEstimateInput {
  /** Every text that goes to the model, the instructions included. */
  readonly texts: readonly string[];
  /** The caller's own bound on the answer, where there is one. */
  readonly maxOutputTokens?: number | undefined;
}

/** English has about four bytes to a token; other scripts have more bytes for each character. */
const BYTES_PER_TOKEN = 4;
/** Role and separators of a message. */
const TOKENS_PER_TEXT = 4;
/** A long answer of a chat. Whoever wants more says so, or pays the difference afterwards. */
const DEFAULT_OUTPUT_TOKENS = 1_000;

/** An upper guess of the tokens of a request, made before the call and settled after it. */
export function estimateTokens({ texts, maxOutputTokens }: TokenEstimateInput): number {
  const bytes = texts.reduce((sum, text) => sum + Buffer.byteLength(text), 0);
  const input = Math.ceil(bytes / BYTES_PER_TOKEN) + texts.length * TOKENS_PER_TEXT;
  return input + (maxOutputTokens ?? DEFAULT_OUTPUT_TOKENS);
}
