import type { Node } from 'oxc-parser';
import {
  lineAt,
  readStaticString,
  visitNodes,
  type ParsedFile,
  type SourceFile,
} from '../../../dev/structure/syntax.ts';
import { ALLOWED_PROSE, RETIRED_PROSE, RETIRED_TEXTS } from './retired-prose.ts';

/** Between the words of a phrase: spaces, and the beginning of a new line of a comment. */
const GAP = '(?:\\s|\\*|//|#)+';
const PROSE = new RegExp(`\\b(?:${Object.keys(RETIRED_PROSE).map(toSource).join('|')})\\b`, 'gi');
const ALLOWED = new RegExp(ALLOWED_PROSE.join('|'), 'g');
const TITLE_OF_TEST = /^(?:describe|it|test)$/;

function toSource(phrase: string): string {
  return phrase.replaceAll(' ', GAP);
}

interface Passage {
  readonly text: string;
  readonly start: number;
}

/** Retired words in the comments and the messages of a program, or in the comments and titles of a test. */
export function checkProgramProse(file: ParsedFile): string[] {
  const comments = file.comments.map(({ start, end }) => ({
    text: file.text.slice(start, end),
    start,
  }));
  const isTest = file.path.startsWith('test/');
  const sentences = isTest ? titlesOf(file) : messagesOf(file);
  return [...comments, ...sentences].flatMap((passage) => proseProblems(file, passage));
}

/** Retired words in a document, outside its code. */
export function checkDocument(file: SourceFile): string[] {
  const text = file.text.replaceAll(/```[\s\S]*?```|`[^`\n]+`/g, blank);
  return proseProblems(file, { text, start: 0 });
}

/** Retired words in the comments of a file whose language has no parser here. */
export function checkLineComments(file: SourceFile): string[] {
  const comments = file.text.matchAll(/(?:\/\/|#).*$/gm);
  return [...comments].flatMap(({ 0: text, index }) => proseProblems(file, { text, start: index }));
}

/** Retired log messages, metric names and values, wherever they are quoted. */
export function checkTexts(file: SourceFile): string[] {
  return Object.entries(RETIRED_TEXTS).flatMap(([retired, standard]) =>
    [...file.text.matchAll(quoted(retired))].map(
      ({ index }) =>
        `${file.path}:${lineAt(file.text, index)} has '${retired}'; it is '${standard}'`,
    ),
  );
}

/** A metric name needs no quotes to be one; in Prometheus its dots are underscores. */
function quoted(text: string): RegExp {
  if (!text.includes('.')) return new RegExp(`(['"\`])${text}\\1`, 'g');
  return new RegExp(`\\b(?:${text.replaceAll('.', '\\.')}|${text.replaceAll('.', '_')})\\b`, 'g');
}

function proseProblems({ path, text }: SourceFile, passage: Passage): string[] {
  return [...passage.text.replaceAll(ALLOWED, blank).matchAll(PROSE)].map(({ 0: found, index }) => {
    const phrase = found.toLowerCase().replaceAll(new RegExp(GAP, 'g'), ' ');
    const line = lineAt(text, passage.start + index);
    return `${path}:${line} says "${phrase}"; write: ${RETIRED_PROSE[phrase] ?? ''}`;
  });
}

/** String literals with a blank in them are read by people. */
function messagesOf({ program }: ParsedFile): Passage[] {
  const messages: Passage[] = [];
  visitNodes(program, (node) => {
    const text = node.type === 'TemplateElement' ? node.value.raw : readStaticString(node);
    if (text?.includes(' ') === true) messages.push({ text, start: node.start });
  });
  return messages;
}

/** The first argument of `describe('...')`, `it('...')` and `it.each([...])('...')`. */
function titlesOf({ program }: ParsedFile): Passage[] {
  const titles: Passage[] = [];
  visitNodes(program, (node) => {
    if (node.type !== 'CallExpression' || !TITLE_OF_TEST.test(calledName(node.callee))) return;
    const [title] = node.arguments;
    const text = readStaticString(title);
    if (title !== undefined && text !== undefined) titles.push({ text, start: title.start });
  });
  return titles;
}

function calledName(callee: Node): string {
  if (callee.type === 'Identifier') return callee.name;
  if (callee.type === 'MemberExpression') return calledName(callee.object);
  return callee.type === 'CallExpression' ? calledName(callee.callee) : '';
}

/** Blanks of the same length and the same lines, so that positions stay. */
function blank(text: string): string {
  return text.replaceAll(/[^\n]/g, ' ');
}
