import { createHash } from 'node:crypto';
import { globSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { PROJECT_ROOT } from '../project-root.ts';
import { type LabelledText, readGrammars } from './generate-texts.ts';
import { choose, createRandom, expand, type Grammar, type Random } from './grammar.ts';

/** Prose, code and settings. */
const DOCUMENTS = [
  'node_modules/**/{README,readme,CHANGELOG,History,MIGRATION,docs/*}.md',
  'node_modules/{zod,openai,fast-check,vitest,@azure/*,@opentelemetry/*}/{src,lib,dist}/*.{ts,js}',
  'node_modules/*/{package,tsconfig}.json',
];
/** A part of a document has between so many characters. */
const PART_CHARS = { least: 300, most: 6000 } as const;
const PARTS_PER_DOCUMENT = 4;
/** One part of ten documents is kept for validation, by a hash of the package's name. */
const VALIDATION_PART = 0.3;
/** So many of the parts for training get an attack. */
const ATTACKED_PART = 0.3;

export interface PackageDocuments {
  readonly training: readonly LabelledText[];
  /** Harmless texts of packages that are not in the other list. */
  readonly validation: readonly LabelledText[];
}

/**
 * The documents of the installed packages, which the lock file pins: real technical prose and code,
 * as tools return it. Some for training get an attack at a random place.
 */
export function readPackageDocuments(seed: number): PackageDocuments {
  const random = createRandom(seed);
  const { lists } = readGrammars();
  const training: LabelledText[] = [];
  const validation: LabelledText[] = [];
  for (const path of DOCUMENTS.flatMap((one) => globSync(one, { cwd: PROJECT_ROOT }).toSorted())) {
    const text = readFileSync(join(PROJECT_ROOT, path), 'utf8');
    const isValidation = partOf(packageOf(path)) < VALIDATION_PART;
    for (const part of cutParts(text, random)) {
      const harmless = { text: part, label: 0, channel: 'document', source: 'packages' } as const;
      if (isValidation) validation.push(harmless);
      else training.push(random() < ATTACKED_PART ? attacked(part, { lists, random }) : harmless);
    }
  }
  return { training, validation };
}

function packageOf(path: string): string {
  return dirname(path).split('node_modules/').at(-1)?.split('/').slice(0, 2).join('/') ?? path;
}

/** A number in [0, 1) that depends on a name alone. */
function partOf(name: string): number {
  return createHash('sha256').update(name).digest().readUInt32BE(0) / 2 ** 32;
}

function cutParts(text: string, random: Random): string[] {
  const parts: string[] = [];
  for (let start = 0; parts.length < PARTS_PER_DOCUMENT && start < text.length;) {
    // Short parts are as frequent as long ones.
    const length = PART_CHARS.least * (PART_CHARS.most / PART_CHARS.least) ** random();
    const part = text.slice(start, start + length).trim();
    if (part.length >= PART_CHARS.least) parts.push(part);
    start += Math.ceil(length);
  }
  return parts;
}

function attacked(
  part: string,
  { lists, random }: { readonly lists: Grammar; readonly random: Random },
): LabelledText {
  const attack = expand('{inserted}', lists, random);
  const breaks = [...part.matchAll(/[.\n]\s/g)].map(({ index }) => index + 2);
  const place = breaks.length === 0 ? part.length : choose(breaks, random);
  const text = `${part.slice(0, place)} ${attack} ${part.slice(place)}`;
  return { text, label: 1, channel: 'document', source: 'packages/attacked' };
}
