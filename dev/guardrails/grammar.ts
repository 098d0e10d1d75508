import { readFileSync } from 'node:fs';
import { join } from 'node:path';

/** Lists of phrases by name. A phrase may use other lists: `{verb}`, and choices: `{a|b}`. */
export type Grammar = Readonly<Record<string, readonly string[]>>;

/** A family of texts: what its texts have in common, and where they come from. */
export interface Family {
  readonly name: string;
  readonly channel: 'user' | 'document';
  readonly templates: readonly string[];
}

export interface GrammarFile {
  readonly families: readonly Family[];
  readonly lists: Grammar;
}

/**
 * Reads a file of `grammars/`. A section begins with `== user name`, `== document name` (families)
 * or `== list name`; each other line is one phrase, in which `\n` is a line break.
 */
export function readGrammar(name: string): GrammarFile {
  const text = readFileSync(join(import.meta.dirname, 'grammars', name), 'utf8');
  const families: Family[] = [];
  const lists: Record<string, readonly string[]> = {};
  for (const section of text.split(/^== /m).slice(1)) {
    const [head = '', ...lines] = section.split('\n');
    const [kind, title = ''] = head.split(' ');
    const templates = lines
      .filter((line) => line !== '')
      .map((line) => line.replaceAll(/\\(n|\\)/g, (_, char) => (char === 'n' ? '\n' : '\\')));
    if (kind === 'user' || kind === 'document')
      families.push({ name: title, channel: kind, templates });
    else lists[title] = templates;
  }
  return { families, lists };
}

/** Numbers in [0, 1) that are the same in every run. */
export type Random = () => number;

/** The generator mulberry32: small, fast, and good enough to choose phrases. */
export function createRandom(seed: number): Random {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}

export function choose<T>(items: readonly T[], random: Random): T {
  const item = items[Math.floor(random() * items.length)];
  if (item === undefined) throw new RangeError('Cannot choose from an empty list');
  return item;
}

/**
 * One sentence of a grammar. The brackets `⟦` and `⟧` stand for braces in the sentence itself.
 * Throws a RangeError for a list that does not exist.
 */
export function expand(template: string, grammar: Grammar, random: Random): string {
  return expandSlots(template, grammar, random).replaceAll('⟦', '{').replaceAll('⟧', '}');
}

function expandSlots(template: string, grammar: Grammar, random: Random): string {
  let result = '';
  let position = 0;
  for (let open = template.indexOf('{'); open >= 0; open = template.indexOf('{', position)) {
    const close = findClosing(template, open);
    const options = splitOptions(template.slice(open + 1, close));
    const list = options.length === 1 ? grammar[options[0] ?? ''] : options;
    if (list === undefined)
      throw new RangeError(`Cannot expand as there is no list '${options[0]}'`);
    result += template.slice(position, open) + expandSlots(choose(list, random), grammar, random);
    position = close + 1;
  }
  return result + template.slice(position);
}

function findClosing(template: string, open: number): number {
  let depth = 0;
  for (let index = open; index < template.length; index += 1) {
    if (template[index] === '{') depth += 1;
    if (template[index] === '}') depth -= 1;
    if (depth === 0) return index;
  }
  throw new RangeError(`Cannot expand as a brace is not closed: ${template}`);
}

/** The options of a choice; those of choices within it stay together. */
function splitOptions(inner: string): string[] {
  const options = [''];
  let depth = 0;
  for (const char of inner) {
    if (char === '{') depth += 1;
    if (char === '}') depth -= 1;
    if (char === '|' && depth === 0) options.push('');
    else options[options.length - 1] += char;
  }
  return options;
}
