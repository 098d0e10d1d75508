import { parseStrictJson } from '../../json.ts';

/** One line of a file, without its line feed. Never blank. */
export interface FileLine {
  /** From 1; blank lines count. */
  readonly number: number;
  /** Byte offsets of this line and of the next one. */
  readonly start: number;
  readonly end: number;
  /** Undefined if the line exceeds the limit; its bytes were discarded. */
  readonly bytes: Uint8Array | undefined;
}

/** Lines that were read together. */
export interface LineGroup {
  readonly lines: readonly FileLine[];
  /** Lines up to the end of this group, blank ones included. */
  readonly lineCount: number;
}

const LINE_FEED = 0x0a;
const SPACE = 0x20;
const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const OPEN_BRACKET = 0x5b;
const OPEN_BRACE = 0x7b;
const COMMA = 0x2c;
/** Bytes that are scanned for lines in one go; takes well under a millisecond. */
const SCAN_BYTES = 65_536;
/** Values in one line. Parsing more takes longer than a time slice; honest items have hundreds. */
const MAX_VALUES = 50_000;

/**
 * Splits chunks into groups of lines and leaves out blank ones. The work is bounded by the bytes, not
 * by the lines, and other work of the process runs between two groups. Buffers at most one line
 * besides the current chunk.
 */
export async function* readLines(
  chunks: AsyncIterable<Uint8Array>,
  { maxLineBytes }: { readonly maxLineBytes: number },
): AsyncGenerator<LineGroup, void, void> {
  const splitter = createLineSplitter(maxLineBytes);
  const slice = createTimeSlice();
  for await (const chunk of chunks) {
    for (let from = 0; from < chunk.byteLength; from += SCAN_BYTES) {
      yield splitter.split(chunk.subarray(from, from + SCAN_BYTES));
      if (slice.isOver()) await slice.next();
    }
  }
  const last = splitter.end();
  if (last !== undefined) yield last;
}

function createLineSplitter(maxLineBytes: number) {
  let parts: Uint8Array[] = [];
  let buffered = 0;
  let isBlank = true;
  let start = 0;
  let position = 0;
  let number = 1;

  function append(part: Uint8Array): void {
    buffered += part.byteLength;
    isBlank &&= isBlankText(part);
    if (buffered > maxLineBytes) parts = [];
    else if (part.byteLength > 0) parts.push(part);
  }
  /** Undefined for a blank line. */
  function finishLine(): FileLine | undefined {
    const bytes = buffered > maxLineBytes ? undefined : Buffer.concat(parts, buffered);
    const line = isBlank ? undefined : { number, start, end: position, bytes };
    parts = [];
    buffered = 0;
    isBlank = true;
    start = position;
    number += 1;
    return line;
  }
  return {
    split(chunk: Uint8Array): LineGroup {
      const lines: FileLine[] = [];
      const base = position;
      let from = 0;
      while (from < chunk.byteLength) {
        if (chunk[from] === LINE_FEED && buffered === 0) {
          from += 1;
          start = base + from;
          number += 1;
          continue;
        }
        const at = chunk.indexOf(LINE_FEED, from);
        if (at === -1) break;
        append(chunk.subarray(from, at));
        from = at + 1;
        position = base + from;
        const line = finishLine();
        if (line !== undefined) lines.push(line);
      }
      append(chunk.subarray(from));
      position = base + chunk.byteLength;
      return { lines, lineCount: number - 1 };
    },
    /** The last line, if it has no line feed. */
    end(): LineGroup | undefined {
      const line = finishLine();
      return line === undefined ? undefined : { lines: [line], lineCount: line.number };
    },
  };
}

/** Spaces and control characters only. */
function isBlankText(bytes: Uint8Array): boolean {
  return bytes.every((byte) => byte <= SPACE);
}

const utf8 = new TextDecoder('utf-8', { fatal: true });

/** Parses a line as one JSON value in UTF-8, as strictly as the body of a chat. */
export function parseLine(bytes: Uint8Array): { readonly value: unknown } | 'invalid' {
  if (hasTooManyValues(bytes)) return 'invalid';
  try {
    return { value: parseStrictJson(utf8.decode(bytes)) };
  } catch {
    return 'invalid';
  }
}

/** Counts what can begin a value outside of strings; correct for valid JSON. */
function hasTooManyValues(bytes: Uint8Array): boolean {
  let values = 0;
  for (let at = 0; at < bytes.byteLength; at += 1) {
    const byte = bytes[at];
    if (byte === QUOTE) at = endOfString(bytes, at);
    else if (byte === COMMA || byte === OPEN_BRACKET || byte === OPEN_BRACE) values += 1;
    if (values > MAX_VALUES) return true;
  }
  return false;
}

/** The offset of the closing quote, or the end of the bytes. */
function endOfString(bytes: Uint8Array, openingQuote: number): number {
  for (let from = openingQuote + 1; ;) {
    const quote = bytes.indexOf(QUOTE, from);
    if (quote === -1) return bytes.byteLength;
    let backslashes = 0;
    while (bytes[quote - 1 - backslashes] === BACKSLASH) backslashes += 1;
    if (backslashes % 2 === 0) return quote;
    from = quote + 1;
  }
}

/** Longest uninterrupted run of CPU-bound work, in ms. */
const SLICE_MS = 2;

/** Splits CPU-bound work into slices between which other work of the process runs. */
export interface TimeSlice {
  /** Whether the current slice has used its time; then call `next` before going on. */
  isOver(): boolean;
  /** Resolves when the next slice may start. */
  next(): Promise<void>;
}

let waiting: (() => void)[] = [];

/**
 * Creates the slices of one task. All tasks of the process share one queue, and each turn of the
 * event loop runs one slice. So a request that takes several turns is delayed by a few slices,
 * however many tasks there are.
 */
export function createTimeSlice(sliceMs = SLICE_MS): TimeSlice {
  let startedAt = performance.now();
  return {
    isOver: () => performance.now() - startedAt >= sliceMs,
    next() {
      const { promise, resolve } = Promise.withResolvers<void>();
      if (waiting.length === 0) setImmediate(startNextSlice);
      waiting.push(() => {
        startedAt = performance.now();
        resolve();
      });
      return promise;
    },
  };
}

function startNextSlice(): void {
  const [start, ...others] = waiting;
  waiting = others;
  if (waiting.length > 0) setImmediate(startNextSlice);
  start?.();
}
