/** One line of a file, without its line feed. */
export interface FileLine {
  /** From 1. */
  readonly number: number;
  /** Byte offsets of this line and of the next one. */
  readonly start: number;
  readonly end: number;
  /** Undefined if the line exceeds the limit; its bytes were discarded. */
  readonly bytes: Uint8Array | undefined;
}

const LINE_FEED = 0x0a;

/** Splits chunks into lines and buffers at most one line. */
export async function* splitLines(
  chunks: AsyncIterable<Uint8Array>,
  { maxLineBytes }: { readonly maxLineBytes: number },
): AsyncGenerator<FileLine, void, void> {
  let parts: Uint8Array[] = [];
  let buffered = 0;
  let start = 0;
  let position = 0;
  let number = 1;
  function append(part: Uint8Array): void {
    buffered += part.byteLength;
    if (buffered > maxLineBytes) parts = [];
    else if (part.byteLength > 0) parts.push(part);
  }
  function finishLine(): FileLine {
    const bytes = buffered > maxLineBytes ? undefined : Buffer.concat(parts, buffered);
    const line = { number, start, end: position, bytes };
    parts = [];
    buffered = 0;
    start = position;
    number += 1;
    return line;
  }
  for await (const chunk of chunks) {
    let from = 0;
    const base = position;
    for (let at = chunk.indexOf(LINE_FEED); at !== -1; at = chunk.indexOf(LINE_FEED, from)) {
      append(chunk.subarray(from, at));
      from = at + 1;
      position = base + from;
      yield finishLine();
    }
    append(chunk.subarray(from));
    position = base + chunk.byteLength;
  }
  if (buffered > 0) yield finishLine();
}

/** Parses a line as one JSON value in UTF-8. */
export function parseLine(bytes: Uint8Array): { readonly value: unknown } | 'blank' | 'invalid' {
  try {
    const text = new TextDecoder('utf-8', { fatal: true }).decode(bytes);
    if (text.trim() === '') return 'blank';
    return { value: JSON.parse(text) };
  } catch {
    return 'invalid';
  }
}
