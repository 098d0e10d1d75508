import { invalidAnswer } from '../upstream-error.ts';

/** One event of an event stream. */
export interface SseEvent {
  /** Empty for the unnamed events that carry completions. */
  readonly name: string;
  readonly data: string;
}

/** Turns the bytes of an event stream into events, however the network cut them. */
export interface SseParser {
  /** The events that these bytes complete, in order. */
  push(bytes: Uint8Array): readonly SseEvent[];
}

/**
 * Reads event streams as the HTML standard says: UTF-8 with or without a mark, lines ending in LF,
 * CR or CRLF, comments, several data lines per event. An event counts once its blank line is
 * there: what a cut connection leaves behind is dropped. A longer line or event than `maxLineBytes`
 * is refused before it can fill the memory.
 */
export function createSseParser({ maxLineBytes }: { readonly maxLineBytes: number }): SseParser {
  // Decoding as a stream joins characters that were split between chunks and drops the mark.
  const decoder = new TextDecoder();
  let partial = '';
  let endedInCr = false;
  let name = '';
  let data: string | undefined;

  function toLineFeeds(text: string): string {
    const whole = endedInCr && text.startsWith('\n') ? text.slice(1) : text;
    if (text !== '') endedInCr = text.endsWith('\r');
    return whole.includes('\r') ? whole.replaceAll(/\r\n?/g, '\n') : whole;
  }

  function readField(line: string): void {
    if (line.startsWith('data:')) {
      const value = line.slice(line.charCodeAt(5) === 32 ? 6 : 5);
      data = data === undefined ? value : `${data}\n${value}`;
      if (data.length > maxLineBytes) throw invalidAnswer('An event is longer than the cap');
    } else if (line === 'data') {
      data = data === undefined ? '' : `${data}\n`;
    } else if (line.startsWith('event:')) {
      name = line.slice(6).trim();
    }
  }

  function push(bytes: Uint8Array): readonly SseEvent[] {
    const text = toLineFeeds(decoder.decode(bytes, { stream: true }));
    const events: SseEvent[] = [];
    let start = 0;
    for (let end = text.indexOf('\n'); end !== -1; end = text.indexOf('\n', start)) {
      const line = partial + text.slice(start, end);
      if (line.length > maxLineBytes) throw invalidAnswer('A line is longer than the cap');
      partial = '';
      start = end + 1;
      if (line !== '') {
        readField(line);
        continue;
      }
      if (data !== undefined) events.push({ name, data });
      name = '';
      data = undefined;
    }
    if (start < text.length) partial += text.slice(start);
    if (partial.length > maxLineBytes) throw invalidAnswer('A line is longer than the cap');
    return events;
  }

  return { push };
}
