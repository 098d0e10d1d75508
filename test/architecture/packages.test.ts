import { describe, expect, it } from 'vitest';
import { planted } from '../support/boundaries/planted.ts';

describe('an import of a package', () => {
  it('is refused outside its folders', () => {
    const broken = planted('shared/agent/x.ts', `import '@azure/storage-blob';`);
    const inAdapter = planted('shared/storage/azure/x.ts', `import '@azure/storage-blob';`);

    expect(broken).toEqual([
      'shared/agent/x.ts imports @azure/storage-blob; this package may be imported in shared/storage/azure/',
    ]);
    expect(inAdapter).toEqual([]);
  });

  it.each([
    ['openai', 'shared/http/x.ts'],
    ['openai/resources/chat/completions', 'shared/agent/x.ts'],
    ['cockatiel', 'shared/model/x.ts'],
    ['@azure/keyvault-secrets', 'shared/config/x.ts'],
    ['@azure/identity', 'shared/model/x.ts'],
    ['@opentelemetry/api', 'shared/telemetry/x.ts'],
    ['applicationinsights', 'shared/composition-root.ts'],
    ['@upstash/redis', 'shared/rate-limit/x.ts'],
    ['@azure/functions', 'shared/agent/x.ts'],
    ['zod', 'functions/x.ts'],
    ['node:http', 'shared/agent/x.ts'],
    ['node:fs/promises', 'shared/batch/x.ts'],
  ])('%s is refused in %s', (name, path) => {
    const broken = planted(path, `import { a } from '${name}';`);

    expect(broken[0]).toContain(`${path} imports ${name}; this package may be imported in `);
  });

  it('is refused unless it is listed, by its full name', () => {
    const unlisted = planted('shared/agent/x.ts', `import { a } from 'left-pad';`);
    const ofNode = planted('shared/agent/x.ts', `import { a } from 'crypto';`);
    const bySubpath = planted('shared/agent/x.ts', `import { a } from '#agent/b';`);

    expect(unlisted).toEqual([
      'shared/agent/x.ts imports left-pad; module-rules.ts does not list this package',
    ]);
    expect(ofNode).toEqual([
      'shared/agent/x.ts imports crypto; a module of Node is imported as node:crypto',
    ]);
    expect(bySubpath).toEqual([
      'shared/agent/x.ts imports #agent/b; module-rules.ts does not list this package',
    ]);
  });

  it('gives types where it may not give code', () => {
    const types = planted('shared/protocols/x.ts', `import type { A } from 'openai/resources';`);
    const code = planted('shared/protocols/x.ts', `import { A } from 'openai/resources';`);

    expect(types).toEqual([]);
    expect(code).toEqual([
      'shared/protocols/x.ts imports openai/resources; this package may be imported in shared/model/openai/, its types also in shared/protocols/',
    ]);
  });

  it.each([
    ['a named import', `import { z } from 'zod';`],
    ['a renamed import', `import { z as schema } from 'zod';`],
    ['a type-only import', `import type { z } from 'zod';`],
    ['a default import', `import z from 'zod';`],
    ['a re-export', `export { z } from 'zod';`],
    ['a lazy import', `await import('zod');`],
  ])('is refused where the bundler cannot take it apart: %s', (_, text) => {
    expect(planted('shared/agent/x.ts', text)).toEqual([
      "shared/agent/x.ts imports zod; this loads all of zod, so write import * as z from 'zod'",
    ]);
  });

  it('may be one of the namespace of zod', () => {
    expect(planted('shared/agent/x.ts', `import * as z from 'zod';`)).toEqual([]);
  });

  it.each([
    ['require', `const a = require('@azure/storage-blob');`],
    [
      'a created require',
      `import { createRequire } from 'node:url';\ncreateRequire('/')('openai');`,
    ],
    ['an import assignment', `import a = require('openai');`],
    ['import.meta.resolve', `import.meta.resolve('openai');`],
  ])('is refused by %s', (_, text) => {
    expect(planted('shared/agent/x.ts', text)).toContain(
      'shared/agent/x.ts loads a module by require or resolve; only import may load modules',
    );
  });

  it.each(["await import('./' + name);", 'await import(`./${name}.ts`);', 'await import(name);'])(
    'is refused by a computed path: %s',
    (text) => {
      expect(planted('shared/agent/x.ts', text)).toEqual([
        'shared/agent/x.ts imports a path that is computed; a path must be a plain string',
      ]);
    },
  );
});

describe('a client of a service', () => {
  it.each([
    ['by its name', 'new SecretClient(url, credential);'],
    ['as a member of its package', 'new vault.SecretClient(url, credential);'],
    ['under another name', 'const { SecretClient: Store } = vault;\nnew Store(url, credential);'],
  ])('is not built outside its adapter: %s', (_, text) => {
    expect(planted('shared/agent/x.ts', text)).toEqual([
      'shared/agent/x.ts builds SecretClient; only shared/secrets/key-vault.ts may build it',
    ]);
  });

  it('is not built by a factory of its class or under an imported name either', () => {
    const byFactory = planted('shared/agent/x.ts', `QueueClient.fromConnectionString(text);`);
    const renamed = planted(
      'shared/composition-root/model.ts',
      `import { DefaultAzureCredential as Login } from '@azure/identity';\nnew Login();`,
    );
    const unknown = planted('shared/agent/x.ts', 'new TableClient(url);');

    expect(byFactory).toEqual([
      'shared/agent/x.ts builds QueueClient; only shared/storage/azure/ may build it',
    ]);
    expect(renamed).toEqual([
      'shared/composition-root/model.ts builds DefaultAzureCredential; only shared/composition-root/secrets.ts may build it',
    ]);
    expect(unknown).toEqual([
      'shared/agent/x.ts builds TableClient; only the adapter of its package may build it',
    ]);
  });
});
