import { createParser } from 'eventsource-parser';
import { eventShape, type EventShape, responseShape, type ResponseShape } from './shapes.ts';

export interface CheckedStream {
  readonly events: readonly EventShape[];
  /** The response of the last event. */
  readonly response: ResponseShape;
}

/**
 * Reads the text of a stream. It throws unless every event has its exact shape, the numbers are
 * gapless, and the deltas add up to the output of exactly one last event.
 */
export function checkStream(text: string): CheckedStream {
  const frames: { event: string | undefined; data: string }[] = [];
  const parser = createParser({ onEvent: ({ event, data }) => frames.push({ event, data }) });
  parser.feed(text);
  if (frames.pop()?.data !== '[DONE]') throw new Error('The stream must end with [DONE]');
  const events = frames.map(({ event, data }, index) => {
    const parsed = eventShape.parse(JSON.parse(data));
    if (parsed.type !== event) throw new Error(`The event ${event} must have its name as type`);
    if (parsed.sequence_number !== index) throw new Error(`Event ${index} has another number`);
    return parsed;
  });
  const last = events.at(-1);
  if (last === undefined || !('response' in last)) throw new Error('The stream must end whole');
  const response = responseShape.parse(last.response);
  checkOrder(events);
  const done = events.flatMap((event) =>
    event.type === 'response.output_item.done' && 'item' in event ? [event.item] : [],
  );
  if (JSON.stringify(done) !== JSON.stringify(response.output)) {
    throw new Error('The output must be the items that are done');
  }
  return { events, response };
}

/** Each delta belongs to a part or item that is open, and each done has what the deltas gave. */
function checkOrder(events: readonly EventShape[]): void {
  const open = new Map<string, string>();
  for (const event of events) {
    const { type } = event;
    if ('item' in event) {
      const key = `item ${event.item.id}`;
      if (type.endsWith('added')) open.set(key, '');
      else if (!open.delete(key)) throw new Error(`${type} has no item that is open`);
    } else if ('part' in event) {
      const key = `part ${event.item_id} ${event.content_index}`;
      if (type.endsWith('added')) open.set(key, '');
      else if (!open.delete(key)) throw new Error(`${type} has no part that is open`);
    } else if ('item_id' in event) {
      const isPart = 'content_index' in event;
      const key = isPart ? `part ${event.item_id} ${event.content_index}` : `item ${event.item_id}`;
      const text = open.get(key);
      if (text === undefined) throw new Error(`${type} has nothing that is open`);
      if ('delta' in event) open.set(key, text + event.delta);
      else if (text !== textOfDone(event)) throw new Error(`${type} is not what the deltas gave`);
    }
  }
  if (open.size > 0) throw new Error('An item or part of the stream is not done');
}

function textOfDone(event: EventShape): string | undefined {
  if ('text' in event) return event.text;
  if ('refusal' in event) return event.refusal;
  return 'arguments' in event ? event.arguments : undefined;
}
