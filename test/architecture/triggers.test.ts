import { describe, expect, it } from 'vitest';
import { planted, plantedTrigger } from '../support/boundaries/planted.ts';

describe('the environment', () => {
  const readers = 'only shared/composition-root.ts may read the environment';

  it.each([
    ['reads process.env', 'const key = process.env.KEY;'],
    ['reads process.env', `const key = process['env'].KEY;`],
    ['reads process.env', 'const key = process?.env.KEY;'],
    ['takes process as a value', 'const { env } = process;'],
    ['takes process as a value', 'const host = process;\nhost.env;'],
    ['takes process as a value', 'read({ process });'],
    ['takes process as a value', 'process[name];'],
    ['takes process from the global object', 'globalThis.process.env;'],
    ['takes process from the global object', `global['process'].env;`],
    ['takes the global object as a value', 'const { process: host } = globalThis;'],
    ['imports env from node:process', `import { env } from 'node:process';`],
    ['imports env from node:process', `import { env as settings } from 'node:process';`],
    ['imports env from node:process', `import host from 'node:process';`],
    ['imports env from node:process', `import * as host from 'node:process';`],
    ['imports env from node:process', `export { env } from 'node:process';`],
    ['imports env from node:process', `const { env } = await import('node:process');`],
  ])('is not read by a module that %s: %s', (way, text) => {
    expect(planted('shared/agent/x.ts', text)).toEqual([`shared/agent/x.ts ${way}; ${readers}`]);
  });

  it('is read by the composition root, and other members of process by every module', () => {
    const inRoot = planted('shared/composition-root.ts', 'createService(process.env);');
    const uptime = planted('shared/telemetry/x.ts', 'process.uptime();\nprocessor.process(job);');

    expect(inRoot).toEqual([]);
    expect(uptime).toEqual([]);
  });
});

describe('a trigger', () => {
  it.each([
    ['an if statement', `if (a) app.http('x', {});`],
    ['a conditional expression', `app.http(a ? 'x' : 'y', {});`],
    ['a logical expression', `app.http('x', a && {});`],
    ['a logical expression', `app.http('x', a || {});`],
    ['a logical expression', `app.http('x', a ?? {});`],
    ['a for of statement', `for (const name of ['x']) app.http(name, {});`],
    ['a while statement', `while (a) app.http('x', {});`],
    ['a try statement', `try { app.http('x', {}); } catch {}`],
    ['a function declaration', `function f() {}\napp.http('x', { handler: f });`],
    ['an arrow function expression', `app.http('x', { handler: () => b });`],
    ['a function expression', `app.http('x', { handler() {} });`],
    ['a class declaration', `class A {}\napp.http('x', {});`],
    ['a switch statement', `switch (a) {}\napp.http('x', {});`],
    ['an await expression', `await a;\napp.http('x', {});`],
    ['a binary expression', `app.http('x' + b, {});`],
    ['a variable', `let a = 1;\napp.http('x', {});`],
  ])('decides nothing: it is refused with %s: %s', (what, text) => {
    expect(plantedTrigger(text)).toContain(
      `functions/x.ts contains ${what}; a trigger only imports, names constants and makes calls`,
    );
  });

  it('registers once', () => {
    const twice = plantedTrigger(`app.http('x', {});\napp.hook.appStart(f);`);
    const never = plantedTrigger('');
    const renamed = planted(
      'functions/x.ts',
      `import { app as host } from '@azure/functions';\nhost.http('x', {});\nhost.http('y', {});`,
    );

    expect(twice).toEqual(['functions/x.ts makes 2 app calls; a trigger makes one']);
    expect(never).toEqual(['functions/x.ts makes 0 app calls; a trigger makes one']);
    expect(renamed).toEqual(['functions/x.ts makes 2 app calls; a trigger makes one']);
  });

  it('does not pass the registration on', () => {
    const broken = plantedTrigger(`app.http('x', {});\nregister(app);`);

    expect(broken).toEqual(['functions/x.ts passes app on; a trigger only calls it']);
  });

  it('stays short', () => {
    const broken = plantedTrigger(`app.http('x', {});${'\n'.repeat(41)}`);

    expect(broken).toEqual(['functions/x.ts has 43 lines; a trigger has at most 40']);
  });
});
