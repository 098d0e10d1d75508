import * as z from 'zod';
import type { Clock } from '../../clock.ts';
import { defineTool, type Tool, ToolInputError } from '../tool.ts';

const parameters = z.strictObject({
  time_zone: z
    .string()
    .max(64)
    .default('UTC')
    .describe('IANA name of the time zone, such as Europe/Berlin'),
});

/** The date and the time of day in a time zone. */
export function createCurrentTime(clock: Clock): Tool {
  return defineTool({
    name: 'current_time',
    description: 'Returns the current date and time, with the day of the week, in a time zone.',
    parameters,
    effect: 'none',
    run: ({ time_zone: timeZone }) => describeTime(new Date(clock.now()), timeZone),
  });
}

function describeTime(now: Date, timeZone: string): string {
  const format = formatFor(timeZone);
  return JSON.stringify({ ...partsOf(format, now), time_zone: format.resolvedOptions().timeZone });
}

/** The formatter of a zone throws for names that it does not know. */
function formatFor(timeZone: string): Intl.DateTimeFormat {
  try {
    return new Intl.DateTimeFormat('en-US', {
      timeZone,
      hourCycle: 'h23',
      weekday: 'long',
      year: 'numeric',
      month: '2-digit',
      day: '2-digit',
      hour: '2-digit',
      minute: '2-digit',
      second: '2-digit',
      timeZoneName: 'longOffset',
    });
  } catch {
    throw new ToolInputError('"time_zone" must be an IANA name such as Europe/Berlin');
  }
}

function partsOf(format: Intl.DateTimeFormat, now: Date) {
  const part = Object.fromEntries(
    format.formatToParts(now).map(({ type, value }) => [type, value]),
  );
  // Such as "GMT+02:00"; some versions write UTC as "GMT".
  const offset = (part['timeZoneName'] ?? '').replace('GMT', '') || '+00:00';
  const date = `${part['year'] ?? ''}-${part['month'] ?? ''}-${part['day'] ?? ''}`;
  const time = `${part['hour'] ?? ''}:${part['minute'] ?? ''}:${part['second'] ?? ''}`;
  return { time: `${date}T${time}${offset}`, weekday: part['weekday'] ?? '' };
}
