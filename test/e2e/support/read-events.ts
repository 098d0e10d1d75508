import { createParser } from 'eventsource-parser';

export interface ReceivedEvent {
  readonly event: string;
  readonly data: unknown;
}

/** Reads a stream of server-sent events to its end, or until `until` says that it is enough. */
export async function readEvents(
  response: Response,
  until: (events: readonly ReceivedEvent[]) => boolean = () => false,
): Promise<{ events: ReceivedEvent[]; comments: number; chunks: number }> {
  const events: ReceivedEvent[] = [];
  let comments = 0;
  let chunks = 0;
  const parser = createParser({
    onEvent: ({ event, data }) =>
      events.push({ event: event ?? 'message', data: JSON.parse(data) }),
    onComment: () => (comments += 1),
  });
  const decoder = new TextDecoder();
  for await (const chunk of response.body ?? []) {
    chunks += 1;
    parser.feed(decoder.decode(chunk, { stream: true }));
    if (until(events)) break;
  }
  return { events, comments, chunks };
}
