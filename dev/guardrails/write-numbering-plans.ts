import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import metadata from 'libphonenumber-js/min/metadata';
import * as z from 'zod';
import { PROJECT_ROOT } from '../project-root.ts';

/** The parts of a country's row that are used: calling code, pattern and lengths of its numbers. */
const plan = z
  .tuple([z.string(), z.unknown(), z.string(), z.array(z.number())])
  .rest(z.unknown())
  .transform(([code, , pattern, lengths]) => ({ code, pattern, lengths }));
const source = z.object({
  version: z.union([z.string(), z.number()]),
  countries: z.record(z.string(), plan),
  nonGeographic: z.record(z.string(), plan),
});

/** Writes the numbering plans that the detector of phone numbers checks international numbers with. */
const { countries, nonGeographic } = source.parse(metadata);
const byCode = new Map<string, { patterns: Set<string>; lengths: Set<number> }>();
/** 25 countries share this code, and every one of their numbers has the form of the first. */
const SHARED_CODE = '1';
for (const { code, pattern, lengths } of [
  ...Object.values(countries),
  ...Object.values(nonGeographic),
]) {
  if (code === SHARED_CODE) continue;
  const entry = byCode.get(code) ?? { patterns: new Set<string>(), lengths: new Set<number>() };
  for (const length of lengths) entry.lengths.add(length);
  entry.patterns.add(pattern);
  byCode.set(code, entry);
}
byCode.set(SHARED_CODE, { patterns: new Set([String.raw`[2-9]\d{9}`]), lengths: new Set([10]) });
const rows = [...byCode]
  .toSorted(([a], [b]) => a.localeCompare(b))
  .map(([code, { patterns, lengths }]) => {
    const sorted = [...lengths].toSorted((a, b) => a - b).join(',');
    return `  '${code}': '${sorted}:${[...patterns].join('|').replaceAll('\\', '\\\\')}',`;
  });
const text = `/**
 * Calling code to "lengths:pattern" of its national numbers. Written by
 * dev/guardrails/write-numbering-plans.ts from the metadata of libphonenumber-js (MIT, derived from
 * Google's libphonenumber, Apache-2.0). Do not edit.
 */
export const NUMBERING_PLANS: Readonly<Record<string, string>> = {
${rows.join('\n')}
};
`;
await writeFile(
  join(PROJECT_ROOT, 'shared', 'guardrails', 'detectors', 'numbering-plans.ts'),
  text,
);
