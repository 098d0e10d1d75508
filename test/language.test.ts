import { globSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { parseSource, type SourceFile } from '../dev/structure/syntax.ts';
import { checkNames } from './support/language/check-names.ts';
import {
  checkDocument,
  checkLineComments,
  checkProgramProse,
  checkTexts,
} from './support/language/check-prose.ts';

/** Its entries name what was renamed. */
const HISTORY = 'CHANGELOG.md';
const IN_NAMES = /^(?:functions|shared|dev|infra)\//;

function read(patterns: readonly string[]): SourceFile[] {
  return globSync(patterns)
    .map((path) => path.replaceAll('\\', '/'))
    .filter((path) => !path.includes('/fixtures/'))
    .map((path) => ({ path, text: readFileSync(path, 'utf8') }));
}

function readPrograms(): SourceFile[] {
  return read(['{functions,shared,dev,infra,test}/**/*.{ts,js,mjs}']);
}

function readDeployment(): SourceFile[] {
  return read(['infra/**/*.{bicep,kql}', '.github/**/*.yml', '.ci/*', 'Dockerfile']);
}

function readDocuments(): SourceFile[] {
  return read(['*.md', 'docs/**/*.md', '{dev,infra,test}/**/*.md']);
}

describe('the project', () => {
  it('uses the standard terms in names', () => {
    const files = readPrograms().filter(({ path }) => IN_NAMES.test(path));

    const problems = files.map(parseSource).flatMap(checkNames);

    expect(problems).toEqual([]);
    expect(files.length).toBeGreaterThan(100);
  });

  it('uses the standard terms in log messages, metrics and their values', () => {
    const files = [...readPrograms(), ...readDeployment(), ...readDocuments()].filter(
      ({ path }) => path !== HISTORY && !path.startsWith('test/'),
    );

    expect(files.flatMap(checkTexts)).toEqual([]);
  });

  it('uses plain English in comments, messages and titles of tests', () => {
    const problems = [
      ...readPrograms().map(parseSource).flatMap(checkProgramProse),
      ...readDeployment().flatMap(checkLineComments),
    ];

    expect(problems).toEqual([]);
  });

  it('uses plain English in its documents', () => {
    const documents = readDocuments();

    expect(documents.flatMap(checkDocument)).toEqual([]);
    expect(documents.length).toBeGreaterThan(20);
  });
});
