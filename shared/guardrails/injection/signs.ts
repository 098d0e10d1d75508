/** A sign of an attack, or of its absence, that no single word shows. */
export interface FoundSign {
  readonly index: number;
  /** Where it is in the normalised text; undefined when it is a property of the whole text. */
  readonly position?: number;
}

/** Looked for in the text as it is, because normalising changes them. */
const MARKUP: readonly RegExp[] = [
  /<\|(?:im_start|im_end|system|user|assistant|endoftext|end_of_text|start_header_id)\|>|\[\/?INST\]|<<\/?SYS>>|<\/?system\b[^>]{0,20}>/i,
  /\[(?:system|admin|developer|debug)[^\]]{0,30}\]|<(?:system|admin|now entering)[^>]{0,40}>/i,
  /(?:^|\n|\\n)[ \t#*]{0,4}(?:system|assistant|human|developer)[*\s]{0,3}:/i,
  /"role"\s?:\s?"(?:system|developer)"/i,
  /={4,}|-{6,}|#{3,}|(?:\\n){2,}|\*{5,}/,
  /<!--|display:\s?none|font-size:\s?0|color:\s?(?:#fff\b|white)/i,
  /!\[[^\]]{0,80}\]\(https?:/,
];

/** Looked for in the normalised text, each at its place. */
const PHRASES: readonly RegExp[] = [
  /\b(?:from now on|from this point|starting now|ab jetzt|ab sofort|a partir de ahora|desormais|d'ora in poi)\b/g,
  /\b(?:do anything now|stay(?:s|ing)? in character|break(?:ing)? character|jailbreak\w*)\b/g,
  /\byou(?:'re| are| will)(?: all)? (?:now|going to|about to|no longer)\b/g,
  /\b(?:no|without(?: any)?|free (?:of|from)|not have(?: any)?|any|ignor\w+|disregard\w*) (?:its |all |any |the )?(?:ethical|moral|restrictions?|rules|limits|limitations|filters?|guidelines|censorship|policies|laws)\b/g,
  /\b(?:your|its|initial|original|hidden|secret) (?:system |initial |original |hidden |secret |own )?(?:prompts?|instructions?|configuration|directives)\b/g,
  /\bsystem (?:prompt|message|instructions?)\b/g,
  /\b(?:the|everything|text|words|written|said) above\b|\bbeginning of (?:this|the) (?:prompt|conversation|text)\b/g,
  /\b(?:act|acting|respond|reply|answer|behave) (?:as|like)\b/g,
  /\bi want you to\b|\bi will (?:give|provide|tell|type|write)\b/g,
  /\b(?:as|like) an? (?:ai|a\.i\.|language model|assistant|chatbot)\b/g,
  /\bopen ?ai\b|\bchat ?g(?:pt|tp)\b/g,
  /\b(?:entering|activat\w+|enabl\w+|initiat\w+|in|simulate)\b.{0,24}\b(?:override|developer|maintenance|debug\w*|admin\w*|god|dan|sudo|system|unrestricted) mode\b|\b(?:mode|override|reset)\b.{0,12}\b(?:activated|enabled|on|granted)\b/g,
  /\b(?:llms?|attackers?|prompt injections?|vulnerabilit\w+|mitigat\w+|untrusted|risks?|security)\b/g,
  /\b(?:no matter how|regardless of|without (?:hesitation|regard))\b/g,
  /\b(?:how (?:do|can|to|should)|what is|why|explain|describe|please|could you|can you)\b/g,
  /\b(?:i'm sorry|i cannot|i apologi[sz]e|as an ai|i can't)\b/g,
];

const LENGTHS = [8, 20, 60, 150, 400] as const;
/** So many harmful words, and so many words to the reader, per hundred tokens. */
const LEVELS = [2, 5, 10] as const;

const SHOUTING = MARKUP.length + PHRASES.length;
const FIRST_LENGTH = SHOUTING + 1;
/** So many words in capitals one after another, and so many others, are a shout within a text. */
const SHOUTED_WORDS = 4;
const QUIET_WORDS = 3;
const FIRST_LEVEL = FIRST_LENGTH + LENGTHS.length + 1;

/** More than there are: adding a sign does not move the features behind. */
export const SIGN_COUNT = 64;

/** The signs of a text and their places. */
export function findSigns(text: string, plain: string): FoundSign[] {
  const found: FoundSign[] = [];
  for (const [index, pattern] of MARKUP.entries()) if (pattern.test(text)) found.push({ index });
  for (const [offset, pattern] of PHRASES.entries()) {
    for (const { index: position } of plain.matchAll(pattern)) {
      found.push({ index: MARKUP.length + offset, position });
    }
  }
  if (hasShout(text)) found.push({ index: SHOUTING });
  return found;
}

/** Whether a text in small letters has a run of words in capitals. */
function hasShout(text: string): boolean {
  let run = 0;
  let longest = 0;
  let quiet = 0;
  for (const [word] of text.matchAll(/\p{L}{2,}/gu)) {
    if (word === word.toUpperCase() && word !== word.toLowerCase()) run += 1;
    else {
      run = 0;
      quiet += 1;
    }
    longest = Math.max(longest, run);
  }
  return longest >= SHOUTED_WORDS && quiet >= QUIET_WORDS;
}

/** The sign that says how long a part is. */
export function lengthSign(tokens: number): number {
  return FIRST_LENGTH + LENGTHS.filter((length) => tokens >= length).length;
}

/** The sign that says how dense words of one kind (0, 1 or 2) are in a part. */
export function densitySign(
  kind: number,
  { words, tokens }: { readonly words: number; readonly tokens: number },
): number {
  const level = LEVELS.filter((one) => words * 100 >= one * tokens).length;
  return FIRST_LEVEL + kind * (LEVELS.length + 1) + level;
}
