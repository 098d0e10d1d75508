/** Largest input file, in bytes: 200 MB, as with OpenAI's Batch API. */
export const MAX_INPUT_BYTES = 200 * 1_048_576;
/** Longest line of an input file, in bytes; larger than any item that the agent accepts. */
export const MAX_LINE_BYTES = 1_048_576;
/** Most items of one batch, as with OpenAI's Batch API. */
export const MAX_ITEMS = 50_000;
/** Most blank lines of an input file: one after each item. */
export const MAX_BLANK_LINES = MAX_ITEMS;
