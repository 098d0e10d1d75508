import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { PROJECT_ROOT } from '../project-root.ts';
import type { Azure } from './azure.ts';
import type { Deployment } from './deployment.ts';
import type { Finding } from './finding.ts';

/** A text that must stand in a file of the project, or a file that must exist. */
export interface Place {
  readonly path: string;
  readonly text?: RegExp;
}

/** One box of the checklist. */
export interface Box {
  readonly number: number;
  readonly title: string;
  /** What the project itself shows. */
  readonly places?: readonly Place[];
  /** A check that needs more than a place. */
  readonly check?: () => Finding;
  /** For boxes that no code can tick. */
  readonly state?: 'yours' | 'another way' | 'not yet';
  readonly note?: string;
  /** What a running app shows, with `--url`. */
  readonly live?: (deployment: Deployment) => Promise<Finding>;
  /** What Azure shows, with `--azure`. */
  readonly azure?: (azure: Azure) => Promise<Finding>;
}

export interface Section {
  readonly title: string;
  readonly boxes: readonly Box[];
}

/** Shorthand for a box that places in the project prove. */
export function proven(
  number: number,
  title: string,
  options: Omit<Box, 'number' | 'title' | 'state'>,
): Box {
  return { number, title, ...options };
}

/** Shorthand for a box that the project cannot tick. */
export function open(
  number: number,
  title: string,
  options: Omit<Box, 'number' | 'title' | 'check'> & Pick<Required<Box>, 'state' | 'note'>,
): Box {
  return { number, title, ...options };
}

export function at(path: string, text?: RegExp): Place {
  return text === undefined ? { path } : { path, text };
}

/** The state of a box by the files of the project. */
export function inspect({ places = [], check, state, note }: Box, root = PROJECT_ROOT): Finding {
  const found = places.map((place) => findLine(place, root));
  const missing = places.filter((_, index) => found[index] === undefined);
  if (missing.length > 0) {
    const lacks = missing.map(({ path, text }) => (text ? `${path} lacks ${text}` : `no ${path}`));
    return { state: 'fail', evidence: lacks.join('; ') };
  }
  const checked = check?.();
  if (checked?.state === 'fail') return checked;
  const names = new Set(found.flatMap((place) => place?.path ?? []));
  const paths = [...names].map((path) => `\`${path}\``);
  const evidence = [paths.join(', '), checked?.evidence ?? '', note ?? '']
    .filter((part) => part !== '')
    .join(': ');
  return { state: state ?? checked?.state ?? 'pass', evidence };
}

/** The first file of a path or pattern that holds the text, with the number of its line. */
export function findLine(
  { path, text }: Place,
  root = PROJECT_ROOT,
): { readonly path: string; readonly line: number } | undefined {
  for (const name of globSync(path, { cwd: root }).toSorted()) {
    if (text === undefined) return { path: name, line: 1 };
    const content = readFileSync(join(root, name), 'utf8');
    const found = text.exec(content);
    if (found !== null)
      return { path: name, line: content.slice(0, found.index).split('\n').length };
  }
  return undefined;
}

/** A check that every file of a pattern holds a text. */
export function everyFile(pattern: string, text: RegExp): () => Finding {
  return () => {
    const files = globSync(pattern, { cwd: PROJECT_ROOT });
    const lacking = files.filter((path) => findLine({ path, text }) === undefined);
    return files.length > 0 && lacking.length === 0
      ? { state: 'pass', evidence: `${files.length} files of \`${pattern}\`` }
      : { state: 'fail', evidence: `${lacking.join(', ') || pattern} lacks ${text}` };
  };
}
