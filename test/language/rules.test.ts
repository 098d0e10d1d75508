import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { parseSource } from '../../dev/structure/syntax.ts';
import { checkNames, checkPath } from '../support/language/check-names.ts';
import {
  checkDocument,
  checkLineComments,
  checkProgramProse,
  checkTexts,
} from '../support/language/check-prose.ts';
import { standardFor } from '../support/language/name-patterns.ts';
import { RETIRED_TEXTS } from '../support/language/retired-prose.ts';
import { RETIRED_NAMES, RETIRED_PRODUCT_NAMES } from '../support/language/retired-names.ts';

function namesIn(text: string): string[] {
  return checkNames(parseSource({ path: 'shared/cache/x.ts', text }));
}

function proseIn(path: string, text: string): string[] {
  return checkProgramProse(parseSource({ path, text }));
}

describe('docs/glossary.md', () => {
  it('lists each term once, in order, with one line', () => {
    const lines = readFileSync('docs/glossary.md', 'utf8').split('\n');
    const terms = lines.flatMap((line) => /^- \*\*(.+?)\*\*: \S/.exec(line)?.[1] ?? []);

    const inOrder = terms.toSorted((one, other) => one.localeCompare(other, 'en'));

    expect(terms).toEqual(inOrder);
    expect(new Set(terms).size).toBe(terms.length);
    expect(terms.length).toBeGreaterThan(50);
    expect(lines.filter((line) => line.startsWith('- ')).length).toBe(terms.length);
  });
});

describe('the standard terms', () => {
  it('are not retired themselves', () => {
    const terms = Object.values({ ...RETIRED_NAMES, ...RETIRED_PRODUCT_NAMES }).flatMap((term) =>
      term.split(', '),
    );
    const texts = Object.values(RETIRED_TEXTS).map((text) => `log('${text}')`);

    const retired = terms.filter((term) => standardFor(term, 'shared/x.ts') !== undefined);
    const problems = texts.flatMap((text) => checkTexts({ path: 'shared/x.ts', text }));

    expect(retired).toEqual([]);
    expect(problems).toEqual([]);
  });
});

describe('a name', () => {
  it.each([
    ['startJourney', 'function startJourney() {}'],
    ['journey', 'read({ journey: 1 });'],
    ['JOURNEY_MS', 'const JOURNEY_MS = 1;'],
    ['ChatNeeds', 'interface ChatNeeds {}'],
    ['clientLeft', 'if (request.clientLeft) stop();'],
    ['ClientLeftError', `import { ClientLeftError } from './errors.ts';`],
    ['giveUp', 'class Call { giveUp() {} }'],
    ['#desk', 'class Call { #desk = 1; }'],
  ])('is refused where the field has another one: %s', (name, text) => {
    expect(namesIn(text)).toEqual([
      expect.stringMatching(
        new RegExp(`^shared/cache/x\\.ts:1 names ${name.replace('#', '')}; the term is .`),
      ),
    ]);
  });

  it.each([
    ['a rest element', 'const { a, ...rest } = b;'],
    ['a word that contains a retired one', 'const rooms1 = showroom(desktop, indoors);'],
    ['Math.floor', 'Math.floor(1.5);'],
    ['a string or a comment', `// the journey\nconst a = 'journey';`],
    ['parts of a form', 'const MAX_PARTS = parts.length;'],
  ])('is not refused as %s', (_, text) => {
    expect(namesIn(text)).toEqual([]);
  });

  it('is refused in the path of a file too', () => {
    expect(checkPath('shared/batch/desk/batch-desk.ts')).toEqual([
      'shared/batch/desk/batch-desk.ts is named desk; the term is BatchService, FileService',
      'shared/batch/desk/batch-desk.ts is named batch-desk; the term is BatchService, FileService',
    ]);
  });
});

describe('a sentence', () => {
  const advice = 'write: name the actor: the caller, the client, the operator, no file';

  it('is refused in a comment, on the line of the word', () => {
    const text = '/**\n * The cache that\n * nobody reads.\n */\nread(); // Whoever comes.';

    expect(proseIn('shared/cache/x.ts', text)).toEqual([
      `shared/cache/x.ts:3 says "nobody"; ${advice}`,
      `shared/cache/x.ts:5 says "whoever"; ${advice}`,
    ]);
  });

  it('is refused where a line ends between its words', () => {
    const text = '/**\n * Called when the model is\n * asked again.\n */';

    expect(proseIn('shared/cache/x.ts', text)).toEqual([
      'shared/cache/x.ts:2 says "is asked"; write: say who calls, sends or reads what',
    ]);
  });

  it('is refused in a message of the program and in the title of a test', () => {
    const message = proseIn('shared/cache/x.ts', 'log(`${a} is told nothing`);');
    const title = proseIn('test/x.test.ts', `it.each([1])('serves somebody', () => {});`);
    const value = proseIn('test/x.test.ts', `send('tell somebody');`);

    expect(message).toEqual([
      'shared/cache/x.ts:1 says "told"; write: say who calls, sends or reads what',
    ]);
    expect(title).toEqual([`test/x.test.ts:1 says "somebody"; ${advice}`]);
    expect(value).toEqual([]);
  });

  it('is refused in a document, but not in its code', () => {
    const text = 'Nobody waits.\n\n```\nnobody\n```\n\n`nobody` runs it.\n';

    expect(checkDocument({ path: 'docs/x.md', text })).toEqual([
      `docs/x.md:1 says "nobody"; ${advice}`,
    ]);
  });

  it('may name a product that contains the word', () => {
    const text = 'Azure Front Door sends requests to the region that is healthy.\n';

    expect(checkDocument({ path: 'docs/x.md', text })).toEqual([]);
  });

  it('is refused in the comments of a template or a query', () => {
    const text = 'requests\n// counted by nobody\n| where name == "nobody"\n';

    expect(checkLineComments({ path: 'infra/x.kql', text })).toEqual([
      `infra/x.kql:2 says "nobody"; ${advice}`,
    ]);
  });
});

describe('a log message or a metric', () => {
  it('is refused under its retired text', () => {
    const text = `log('redis is back');\ncount({ outcome: "handed over" });\n`;

    expect(checkTexts({ path: 'shared/x.ts', text })).toEqual([
      "shared/x.ts:1 has 'redis is back'; it is 'redis recovered'",
      "shared/x.ts:2 has 'handed over'; it is 'rescheduled'",
    ]);
  });

  it('is refused under a retired name, in the spelling of Prometheus too', () => {
    const text = 'agent.model.given_up\nagent_model_given_up_total agent_model_given_up\n';

    expect(checkTexts({ path: 'docs/x.md', text })).toEqual([
      "docs/x.md:1 has 'agent.model.given_up'; it is 'agent.model.failures'",
      "docs/x.md:2 has 'agent.model.given_up'; it is 'agent.model.failures'",
    ]);
  });

  it('may contain the same words in another sentence', () => {
    const text = 'The batch is given up after three tries, when the client left.';

    expect(checkTexts({ path: 'docs/x.md', text })).toEqual([]);
  });
});
