import {
  choose,
  createRandom,
  expand,
  type Family,
  type Grammar,
  type Random,
  readGrammar,
} from './grammar.ts';

export interface LabelledText {
  readonly text: string;
  readonly label: 0 | 1;
  readonly channel: 'user' | 'document';
  /** The family of the text: those of one family resemble each other. */
  readonly source: string;
}

/** So many of the attacks and of the harmless texts stand in a document. */
const DOCUMENT_PARTS = { attacks: 0.25, harmless: 0.35 } as const;

/** The grammars of this folder, written for this project. */
export function readGrammars() {
  const attacks = readGrammar('attacks.txt');
  const harmless = readGrammar('harmless.txt');
  const lists: Grammar = { ...harmless.lists, ...attacks.lists };
  return { attacks: attacks.families, harmless: harmless.families, lists };
}

/**
 * Attacks and harmless texts from the grammars, half and half. The same seed gives the same texts.
 * They widen what the public texts cover: more languages, more families, and harmless texts with
 * the words of attacks.
 */
export function generateTexts({ count, seed }: { readonly count: number; readonly seed: number }) {
  const { attacks, harmless, lists } = readGrammars();
  const random = createRandom(seed);
  const texts = new Map<string, LabelledText>();
  // Small families run out of new texts, so the attempts are bounded.
  for (let attempt = 0; attempt < count * 4 && texts.size < count; attempt += 1) {
    const isAttack = attempt % 2 === 0;
    const share = isAttack ? DOCUMENT_PARTS.attacks : DOCUMENT_PARTS.harmless;
    const channel = random() < share ? 'document' : 'user';
    const families = (isAttack ? attacks : harmless).filter((one) => one.channel === channel);
    const family = choose(families, random);
    const text = expandFamily(family, { lists, random });
    texts.set(text, { text, label: isAttack ? 1 : 0, channel, source: `generated/${family.name}` });
  }
  return [...texts.values()];
}

function expandFamily(
  { templates }: Family,
  { lists, random }: { readonly lists: Grammar; readonly random: Random },
): string {
  return expand(choose(templates, random), lists, random).replaceAll(/ {2,}/g, ' ').trim();
}
