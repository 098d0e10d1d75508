const PATTERN = /^(?:(\d+)\.)?(\d{1,2}):(\d{1,2})(?::(\d{1,2})(?:\.(\d{1,7}))?)?$/;

/** Reads a duration as host.json writes it (`hh:mm:ss`, `d.hh:mm:ss.fff`) as milliseconds. */
export function parseTimeSpan(text: string): number | undefined {
  const match = PATTERN.exec(text);
  if (match === null) return undefined;
  const [, days = '0', hours = '0', minutes = '0', seconds = '0', fraction = '0'] = match;
  // More than 23 hours is no duration to the platform either: it wants a day in front.
  if (Number(hours) > 23 || Number(minutes) > 59 || Number(seconds) > 59) return undefined;
  const total = ((Number(days) * 24 + Number(hours)) * 60 + Number(minutes)) * 60 + Number(seconds);
  return total * 1_000 + Number(`0.${fraction}`) * 1_000;
}
