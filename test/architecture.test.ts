import { existsSync, globSync, readFileSync, readdirSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import type { SourceFile } from '../dev/structure/syntax.ts';
import { checkCycles } from './support/boundaries/find-cycles.ts';
import { planted, plantedTrigger } from './support/boundaries/planted.ts';
import { violations } from './support/boundaries/violations.ts';
import {
  ADAPTERS,
  CLIENTS,
  ENVIRONMENT_READER,
  MODULES,
  OPEN_FOLDERS,
  PACKAGES,
  type ModuleRule,
} from './support/module-rules.ts';

function readSources(): SourceFile[] {
  return globSync(['functions/**/*.ts', 'shared/**/*.ts']).map((path) => ({
    path: path.replaceAll('\\', '/'),
    text: readFileSync(path, 'utf8'),
  }));
}

/** The names at the beginning of the lines of the tree in docs/architecture.md. */
function namesInTree(): Set<string> {
  const [, tree = ''] = readFileSync('docs/architecture.md', 'utf8').split('```');
  const names = tree.split('\n').map((line) => line.trim().split(/ {2,}/)[0] ?? '');
  return new Set(names.flatMap((name) => name.replaceAll(/\/|\.ts/g, '').split(/[ ,]+/)));
}

/** The folder of a module, or its only file, and what its rule names below it. */
function placesOf([name, { folders = [], base = [] }]: readonly [string, ModuleRule]): string[] {
  if (name === 'functions') return ['functions'];
  const own = existsSync(`shared/${name}`) ? `shared/${name}` : `shared/${name}.ts`;
  const below = folders.concat(base).filter((one) => one !== name);
  return [own].concat(below.map((one) => `shared/${name}/${one}`));
}

describe('functions/ and shared/', () => {
  it('keep the rules of the modules', () => {
    const sources = readSources();

    const broken = violations(sources);

    expect(broken).toEqual([]);
    expect(sources.length).toBeGreaterThan(40);
  });

  it('have a rule for every module, which docs/architecture.md describes', () => {
    const described = namesInTree();

    const modules = readdirSync('shared').map((name) => name.replace(/\.ts$/, ''));

    expect(modules.filter((name) => MODULES[name] === undefined)).toEqual([]);
    expect(modules.filter((name) => !described.has(name))).toEqual([]);
  });
});

describe('the rules of the modules', () => {
  it('name only modules, folders and files that exist', () => {
    const places = [
      ...Object.entries(MODULES).flatMap(placesOf),
      ...ADAPTERS,
      ENVIRONMENT_READER,
      ...OPEN_FOLDERS.flatMap(({ folder, to }) => to.concat(folder)),
      ...PACKAGES.flatMap(({ in: allowed, typesIn = [] }) => allowed.concat(typesIn)),
      ...CLIENTS.flatMap(({ in: allowed }) => allowed),
    ];

    const missing = places.filter((place) => !existsSync(place));

    expect(missing).toEqual([]);
  });

  it('allow no cycle between modules', () => {
    const graph = new Map(
      Object.entries(MODULES).map(([name, { imports, types = [] }]) => [
        name,
        [...imports, ...types],
      ]),
    );

    expect(checkCycles(graph)).toEqual([]);
  });
});

describe('an import between modules', () => {
  it('is refused from a module that may not have it', () => {
    const broken = planted('shared/cache/x.ts', `import { respond } from '../http/responses.ts';`);

    expect(broken).toEqual([
      'shared/cache/x.ts imports shared/http/responses.ts; cache may import resilience, telemetry, errors, clock and json',
    ]);
  });

  it.each([
    ['a re-export', `export { a } from '../batch/create-batch.ts';`],
    ['a re-export of everything', `export * from '../batch/create-batch.ts';`],
    ['a type-only import', `import type { A } from '../batch/create-batch.ts';`],
    ['a type-only re-export', `export type { A } from '../batch/create-batch.ts';`],
    ['a type taken from an import', `type A = import('../batch/create-batch.ts').A;`],
    ['a lazy import', `await import('../batch/create-batch.ts');`],
    ['a lazy import by a template literal', 'await import(`../batch/create-batch.ts`);'],
    ['an import for its effects', `import '../batch/create-batch.ts';`],
    ['an import in double quotes', `import { a } from "../batch/create-batch.ts";`],
    ['an import by a detour', `import { a } from '../cache/../batch/create-batch.ts';`],
    ['an import over several lines', `import {\n  a,\n  b,\n} from\n  '../batch/create-batch.ts';`],
  ])('is refused as %s', (_, text) => {
    expect(planted('shared/agent/x.ts', text)).toEqual([
      'shared/agent/x.ts imports shared/batch/create-batch.ts; agent may import model, cache, guardrails, resilience, telemetry, errors, clock and json',
    ]);
  });

  it('is not seen in a comment or a string', () => {
    const text = `// import { a } from '../batch/create-batch.ts';\nconst a = "import '../batch/b.ts'";`;

    expect(planted('shared/agent/x.ts', text)).toEqual([]);
  });

  it('is refused where it would load code of a module that gives types only', () => {
    const asType = planted('shared/protocols/x.ts', `import type { A } from '../agent/agent.ts';`);
    const asCode = planted('shared/protocols/x.ts', `import { type A } from '../agent/agent.ts';`);

    expect(asType).toEqual([]);
    expect(asCode).toEqual([
      'shared/protocols/x.ts imports shared/agent/agent.ts; protocols may import errors, clock and json, and types of agent and model',
    ]);
  });

  it.each(['functions/chat.ts', 'dev/start.ts', 'test/support/setup.ts', 'infra/hooks/x.ts'])(
    'is refused from shared/ to %s',
    (target) => {
      expect(planted('shared/agent/x.ts', `import '../../${target}';`)).toEqual([
        `shared/agent/x.ts imports ${target}; agent may import model, cache, guardrails, resilience, telemetry, errors, clock and json`,
      ]);
    },
  );

  it('is refused to whatever a trigger should be given', () => {
    const broken = plantedTrigger(`import '../shared/model/model.ts';\napp.http('x', {});`);

    expect(broken).toEqual([
      'functions/x.ts imports shared/model/model.ts; functions may import composition-root, http, batch and runs',
    ]);
  });

  it('is refused from one trigger to another, which would register twice', () => {
    const broken = plantedTrigger(`import './chat.ts';\napp.http('x', {});`);

    expect(broken).toEqual([
      'functions/x.ts imports functions/chat.ts; functions may import composition-root, http, batch and runs',
    ]);
  });

  it('is refused to an adapter, for the composition root alone wires it', () => {
    const broken = planted('shared/http/x.ts', `import { a } from '../batch/azure-job-queue.ts';`);
    const wired = planted(
      'shared/composition-root/x.ts',
      `import { a } from '../batch/azure-job-queue.ts';`,
    );

    expect(broken).toEqual([
      'shared/http/x.ts imports shared/batch/azure-job-queue.ts; only the composition root may import an adapter',
    ]);
    expect(wired).toEqual([]);
  });

  it('is refused from http to the storage adapter', () => {
    const broken = planted(
      'shared/http/x.ts',
      `import { a } from '../storage/azure/azure-blob-container.ts';`,
    );

    expect(broken).toEqual([
      'shared/http/x.ts imports shared/storage/azure/azure-blob-container.ts; http may import protocols, agent, batch, callers, rate-limit, health, idempotency, runs, sessions, resilience, telemetry, errors, clock and json',
    ]);
  });

  it('is refused into a private sub-folder', () => {
    const inBatch = planted(
      'shared/http/x.ts',
      `import { a } from '../batch/processing/run-item.ts';`,
    );
    const inStorage = planted(
      'shared/batch/x.ts',
      `import { a } from '../storage/azure/blob-lease.ts';`,
    );
    const inRoot = plantedTrigger(
      `import '../shared/composition-root/model.ts';\napp.http('x', {});`,
    );

    expect(inBatch).toEqual([
      'shared/http/x.ts imports shared/batch/processing/run-item.ts; the sub-folders of batch are private to it',
    ]);
    expect(inStorage).toEqual([
      'shared/batch/x.ts imports shared/storage/azure/blob-lease.ts; the sub-folders of storage are private to it and open to shared/composition-root/ and shared/batch/azure-job-queue.ts',
    ]);
    expect(inRoot).toEqual([
      'functions/x.ts imports shared/composition-root/model.ts; the sub-folders of composition-root are private to it',
    ]);
  });

  it('is refused in a module or sub-folder without a rule', () => {
    const inModule = planted('shared/utils/x.ts', '');
    const inFolder = planted('shared/batch/utils/x.ts', '');

    expect(inModule).toEqual([
      'shared/utils/x.ts is in the module utils, which has no rule in module-rules.ts',
    ]);
    expect(inFolder).toEqual([
      'shared/batch/utils/x.ts is in the sub-folder utils, which batch does not list',
    ]);
  });
});

describe('an import within a module', () => {
  it('only goes down', () => {
    const upwards = planted(
      'shared/batch/storage/x.ts',
      `import { a } from '../processing/run-item.ts';`,
    );
    const downwards = planted(
      'shared/batch/processing/x.ts',
      `import { a } from '../storage/journal.ts';`,
    );

    expect(upwards).toEqual([
      'shared/batch/storage/x.ts imports shared/batch/processing/run-item.ts; within batch, storage may import storage, model, storage-names.ts and input-limits.ts',
    ]);
    expect(downwards).toEqual([]);
  });

  it('is refused from the lowest sub-folder to the top-level files', () => {
    const ofModel = planted(
      'shared/batch/model/x.ts',
      `import { a } from '../processing/process-message.ts';\nimport { b } from '../create-batch.ts';`,
    );
    const ofStorage = planted(
      'shared/batch/storage/x.ts',
      `import { a } from '../queue-trigger.ts';`,
    );

    expect(ofModel).toEqual([
      'shared/batch/model/x.ts imports shared/batch/processing/process-message.ts; within batch, model may import model, storage-names.ts and input-limits.ts',
      'shared/batch/model/x.ts imports shared/batch/create-batch.ts; within batch, model may import model, storage-names.ts and input-limits.ts',
    ]);
    expect(ofStorage).toEqual([
      'shared/batch/storage/x.ts imports shared/batch/queue-trigger.ts; within batch, storage may import storage, model, storage-names.ts and input-limits.ts',
    ]);
  });

  it('is refused from a base file to what stands above it', () => {
    const broken = planted('shared/model/model.ts', `import { a } from './openai/schema.ts';`);

    expect(broken).toEqual([
      'shared/model/model.ts imports shared/model/openai/schema.ts; within model, a base file may import model.ts, upstream-error.ts, http-client.ts and proxy.ts',
    ]);
  });

  it('may not form a cycle', () => {
    const broken = violations([
      { path: 'shared/cache/a.ts', text: `import { b } from './b.ts';` },
      { path: 'shared/cache/b.ts', text: `export { c } from './c.ts';` },
      { path: 'shared/cache/c.ts', text: `import './d.ts';\nawait import('./a.ts');` },
      { path: 'shared/cache/d.ts', text: '' },
    ]);

    expect(broken).toEqual([
      'shared/cache/a.ts imports itself: shared/cache/a.ts -> shared/cache/b.ts -> shared/cache/c.ts -> shared/cache/a.ts; imports may not form a cycle, nor may type-only ones',
    ]);
  });

  it('may not form a cycle of types either', () => {
    const broken = violations([
      { path: 'shared/cache/a.ts', text: `import type { B } from './b.ts';` },
      { path: 'shared/cache/b.ts', text: `export type A = import('./a.ts').A;` },
    ]);

    expect(broken).toEqual([
      'shared/cache/a.ts imports itself: shared/cache/a.ts -> shared/cache/b.ts -> shared/cache/a.ts; imports may not form a cycle, nor may type-only ones',
    ]);
  });
});

describe('a file', () => {
  it('has at most 300 lines', () => {
    expect(planted('shared/agent/x.ts', '\n'.repeat(300))).toEqual([
      'shared/agent/x.ts has 301 lines; a file has at most 300',
    ]);
    expect(planted('shared/agent/x.ts', '\n'.repeat(299))).toEqual([]);
  });

  it('that cannot be parsed is named', () => {
    expect(() => planted('shared/agent/x.ts', 'import {')).toThrow(
      /^Cannot parse 'shared\/agent\/x\.ts': /,
    );
  });
});
