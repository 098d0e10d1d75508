import { execFile, execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';
import * as z from 'zod';
import { OPERATIONS, toMarkdown } from '../../dev/openapi/document.ts';
import { openApiText } from '../../dev/write-openapi.ts';

const triggers = z.object({
  registered: z.array(
    z.object({
      name: z.string(),
      bindings: z.record(
        z.string(),
        z.object({ route: z.string().optional(), methods: z.array(z.string()).optional() }),
      ),
    }),
  ),
});
/** Triggers that the document describes in another way, with the reason. */
const OTHERS: Readonly<Record<string, string>> = {
  azureOpenAi: 'the servers of the paths below /v1/',
  unknownRoute: 'answers what the document does not have',
};

function registeredRoutes(): string[] {
  const script = fileURLToPath(new URL('../functions/capture-registrations.ts', import.meta.url));
  const output = execFileSync(process.execPath, [script, 'functions/*.ts'], { encoding: 'utf8' });
  return triggers.parse(JSON.parse(output)).registered.flatMap(({ name, bindings }) => {
    if (OTHERS[name] !== undefined) return [];
    return Object.values(bindings).flatMap(({ route, methods = [] }) => {
      if (route === undefined) return [];
      const path = name === 'page' ? '' : route;
      // GET and DELETE of the MCP server are 405, as its protocol says.
      const known = name === 'mcp' ? ['POST'] : methods;
      return known.map((method) => `${name} ${method} /${path}`);
    });
  });
}

describe('openapi.json', () => {
  it('is what the code says; `npx node dev/write-openapi.ts` writes it', async () => {
    expect(await openApiText()).toBe(readFileSync('openapi.json', 'utf8'));
    expect(toMarkdown()).toBe(readFileSync('docs/api.md', 'utf8'));
  });

  it('describes every route that is registered, and no other', () => {
    const described = OPERATIONS.map(
      ({ id, method, path }) => `${id} ${method.toUpperCase()} ${path}`,
    );

    expect(described.toSorted()).toEqual(registeredRoutes().toSorted());
  });

  it('has no fault that the linter finds, the examples included', async () => {
    const linting = promisify(execFile)('redocly', ['lint', 'openapi.json'], {
      env: { ...process.env, REDOCLY_TELEMETRY: 'off' },
    });

    const { stdout, stderr } = await linting;
    expect(`${stdout}${stderr}`).toContain('Your API description is valid');
    expect(`${stdout}${stderr}`).not.toMatch(/\d+ warnings?/);
  });
});
