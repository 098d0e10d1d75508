import * as z from 'zod';

/** Structured mode of CloudEvents 1.0: the job is what the event carries. */
const cloudEventSchema = z.union([
  z.object({ specversion: z.literal('1.0'), data: z.unknown() }),
  z.object({ specversion: z.literal('1.0'), data_base64: z.string() }),
]);

/**
 * A queue message as the platform hands it over: a parsed value when its text was JSON, else the
 * text itself, which may be base64 of JSON because many producers encode by habit. `undefined`
 * when it is neither.
 */
export function decodeMessage(message: unknown): unknown {
  const value = typeof message === 'string' ? decodeText(message) : message;
  const event = cloudEventSchema.safeParse(value);
  if (!event.success) return value;
  if ('data_base64' in event.data) return decodeBase64(event.data.data_base64);
  const { data } = event.data;
  return typeof data === 'string' ? decodeText(data) : data;
}

function decodeText(text: string): unknown {
  return parse(text.replace(/^\ufeff/, '')) ?? decodeBase64(text);
}

function decodeBase64(text: string): unknown {
  // Encoders break lines; taken out first, so that the check below cannot be made slow.
  const compact = text.replaceAll(/\s/g, '');
  if (!/^[A-Za-z0-9+/]+={0,2}$/.test(compact)) return undefined;
  try {
    const bytes = Buffer.from(compact, 'base64');
    return parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch {
    return undefined;
  }
}

/** `undefined` for what is not JSON; JSON itself has no undefined. */
function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
