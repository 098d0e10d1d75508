import { globSync, existsSync, readFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { VARIABLES, type Variable } from '../shared/config/variables.ts';
import { agentKeyRows, variableRows } from './support/configuration-rows.ts';

/** What the platform itself reads beside our own variables. */
const OF_THE_PLATFORM = ['FUNCTIONS_WORKER_RUNTIME', 'AzureWebJobsStorage'];
const IN_FOLDER = /^(?:functions|shared|dev|test|docs|infra)\//;
/** The well-known name of the local emulator: a connection string without a key. */
const EMULATOR = 'UseDevelopmentStorage=true';

const exampleSchema = z.strictObject({
  IsEncrypted: z.literal(false),
  Values: z.record(z.string(), z.string()),
});

function readExample(): Readonly<Record<string, string>> {
  const text = readFileSync('local.settings.example.json', 'utf8');
  return exampleSchema.parse(JSON.parse(text)).Values;
}

/** The rows of all tables whose first cell is a name. */
function rowsUnder(heading: string): string[] {
  const text = readFileSync('docs/configuration.md', 'utf8');
  const [, section = ''] = text.split(`\n## ${heading}\n`);
  const [own = ''] = section.split('\n## ');
  return own.split('\n').filter((line) => line.startsWith('| `'));
}

/** Relative links of a page to files that do not exist. */
function brokenLinksOf(page: string): string[] {
  const text = readFileSync(page, 'utf8').replaceAll(/```[\s\S]*?```/g, '');
  return [...text.matchAll(/\]\(([^)#\s]+)(?:#[^)\s]*)?\)/g)]
    .map(([, target = '']) => target)
    .filter((target) => !/^[a-z]+:/.test(target))
    .filter((target) => !existsSync(join(dirname(page), target)))
    .map((target) => `${page} links to ${target}`);
}

/** Files and folders that a page names in code and that do not exist. */
function missingFilesOf(page: string): string[] {
  const text = readFileSync(page, 'utf8').replaceAll(/```[\s\S]*?```/g, '');
  const names = [...text.matchAll(/`([\w./*-]+)`/g)].map(([, name = '']) => name);
  const folders = ['.', 'shared', 'shared/config', dirname(page)];
  return names
    .filter((name) => /\.(?:ts|js|json|toml|md)$/.test(name) || IN_FOLDER.test(name))
    .filter((name) => folders.every((folder) => globSync(join(folder, name)).length === 0))
    .map((name) => `${page} names ${name}`);
}

describe('docs/configuration.md', () => {
  it('describes every variable of the table, in its words', () => {
    expect(rowsUnder('Environment')).toEqual(variableRows());
  });

  it('describes every key of agent.toml, in its words', () => {
    expect(rowsUnder('agent.toml')).toEqual(agentKeyRows());
  });
});

describe('local.settings.example.json', () => {
  it('names only variables that are read', () => {
    const known = new Set([
      ...OF_THE_PLATFORM,
      ...Object.values<Variable>(VARIABLES).map(({ name }) => name),
    ]);

    expect(Object.keys(readExample()).filter((name) => !known.has(name))).toEqual([]);
  });

  it('holds no secret', () => {
    const example = readExample();
    const filled = Object.values<Variable>(VARIABLES)
      .filter(({ secret }) => secret === true)
      .map(({ name }) => example[name] ?? '');

    expect(filled.filter((value) => value !== '' && value !== EMULATOR)).toEqual([]);
  });

  it('starts from the emulator and asks for the model', () => {
    const example = readExample();

    expect(example).toMatchObject({
      FUNCTIONS_WORKER_RUNTIME: 'node',
      AzureWebJobsStorage: EMULATOR,
    });
    expect(Object.keys(example)).toEqual(
      expect.arrayContaining(['OPENAI_API_KEY', 'OPENAI_BASE_URL', 'OPENAI_MODEL']),
    );
  });
});

describe('the documents', () => {
  const pages = globSync(['*.md', 'docs/**/*.md', 'dev/**/*.md']);

  it('link only to files that exist', () => {
    expect(pages.flatMap(brokenLinksOf)).toEqual([]);
    expect(pages.length).toBeGreaterThan(20);
  });

  it.each(['README.md', 'CONTRIBUTING.md', 'docs/architecture.md'])(
    '%s names only files that exist',
    (page) => {
      expect(missingFilesOf(page)).toEqual([]);
    },
  );

  it('name only files that exist in the maps of dev', () => {
    expect(globSync('dev/*/README.md').flatMap(missingFilesOf)).toEqual([]);
  });
});

describe('docs/decisions', () => {
  it('numbers each record once, in its name and in its title', () => {
    const records = globSync('docs/decisions/*.md').map((path) => basename(path));
    const numbers = records.map((name) => name.slice(0, 3));

    const titles = records.map((name) => readFileSync(join('docs/decisions', name), 'utf8'));

    expect(new Set(numbers).size).toBe(numbers.length);
    expect(titles.map((text) => text.slice(2, 5))).toEqual(numbers);
  });
});
