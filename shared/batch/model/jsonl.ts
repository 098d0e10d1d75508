/** One line of a file, without its end. */
export interface FileLine {
  /** From 1. */
  readonly number: number;
  /** Where it begins and where the next one begins, in bytes. */
  readonly start: number;
  readonly end: number;
  /** Undefined when the line is longer than it may be; it was not kept then. */
  readonly bytes: Uint8Array | undefined;
}

const LINE_FEED = 0x0a;

/** Lines out of chunks, holding no more than one line at a time. */
export async function* splitLines(
  chunks: AsyncIterable<Uint8Array>,
  { maxLineBytes }: { readonly maxLineBytes: number },
): AsyncGenerator<FileLine, void, void> {
  let parts: Uint8Array[] = [];
  let held = 0;
  let start = 0;
  let position = 0;
  let number = 1;
  function keep(part: Uint8Array): void {
    held += part.byteLength;
    if (held > maxLineBytes) parts = [];
    else if (part.byteLength > 0) parts.push(part);
  }
  function finish(): FileLine {
    const bytes = held > maxLineBytes ? undefined : Buffer.concat(parts, held);
    const line = { number, start, end: position, bytes };
    parts = [];
    held = 0;
    start = position;
    number += 1;
    return line;
  }
  for await (const chunk of chunks) {
    let from = 0;
    const base = position;
    for (let at = chunk.indexOf(LINE_FEED); at !== -1; at = chunk.indexOf(LINE_FEED, from)) {
      keep(chunk.subarray(from, at));
      from = at + 1;
      position = base + from;
      yield finish();
    }
    keep(chunk.subarray(from));
    position = base + chunk.byteLength;
  }
  if (held > 0) yield finish();
}

/** The line as JSON; undefined when it is not JSON in UTF-8. Null when it is blank. */
export function readLine(bytes: Uint8Array): { readonly value: unknown } | 'blank' | 'unreadable' {
  try {
    const text = new TextDecoder('utf-8', { fatal: true }).decode(bytes);
    if (text.trim() === '') return 'blank';
    return { value: JSON.parse(text) };
  } catch {
    return 'unreadable';
  }
}
