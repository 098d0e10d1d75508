import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import * as z from 'zod';
import { writeLoadTable } from '../../dev/load/load-table.ts';
import { runLoad } from '../../dev/load/run-load.ts';
import { runScript } from '../support/run-script.ts';
import { startEnvironment, type TestEnvironment } from './support/start-environment.ts';

const KEY = 'a-key-of-the-functions';
const COMMAND = resolve('dev/load.ts');

let environment: TestEnvironment;
beforeAll(async () => {
  environment = await startEnvironment({
    enableAuth: true,
    keys: { master: 'm', host: { default: KEY } },
    model: 'dev/instant',
  });
});
afterAll(() => environment.stop());

async function load(args: readonly string[], env: Record<string, string> = {}) {
  const script = runScript(COMMAND, { args: ['--url', environment.url, ...args], env });
  const { code } = await script.ended;
  return { code, out: script.stdout(), err: script.stderr() };
}

/** A target that answers as the test says. */
function target(message: string) {
  return {
    url: `${environment.url}/api/chat`,
    headers: { 'content-type': 'application/json', 'x-functions-key': KEY },
    body: () => JSON.stringify({ message: `${message} ${crypto.randomUUID()}` }),
  };
}

describe('npm run load', () => {
  it('measures each step, and sends no more requests than it may', async () => {
    environment.model.reset();

    const { code, out } = await load(
      ['--steps', '1,4', '--seconds', '30', '--max-requests', '40'],
      { LOAD_KEY: KEY },
    );

    expect(code).toBe(0);
    expect(out).toMatch(/callers +requests\/s +p50 +p95 +p99 +errors +429/);
    expect(out).toContain('Capacity: at least');
    expect(environment.model.calls()).toHaveLength(40);
  });

  it('fails if the first step is beyond the capacity, and names the failures', async () => {
    const { code, out } = await load(['--steps', '2,4', '--seconds', '30', '--max-requests', '6']);

    expect(code).toBe(1);
    expect(out).toContain('requests failed (401)');
    expect(out).not.toContain(KEY);
  });

  it.each([
    ['--steps', '1,0'],
    ['--steps', '1000'],
    ['--seconds', '3600'],
    ['--max-requests', 'many'],
  ])('refuses %s %s', async (...args) => {
    const { code, err } = await load(args);

    expect(code).toBe(1);
    expect(err).toContain(`${args[0]} must hold whole numbers`);
  });
});

describe('the steps of a load', () => {
  const options = { steps: [1, 2], secondsPerStep: 30, maxRequests: 6, endsAtLimit: true };

  it('end at 429, which is counted apart from errors', async () => {
    const busy = createServer((_request, response) => response.writeHead(429).end());
    await new Promise<void>((listening) => busy.listen(0, '127.0.0.1', listening));
    const { port } = z.object({ port: z.number() }).parse(busy.address());

    const { steps, limit } = await runLoad(
      { ...target('Hello'), url: `http://127.0.0.1:${port}` },
      options,
    );

    busy.close();
    expect(steps).toMatchObject([{ throttled: 6, errors: 0 }]);
    expect(limit).toBe('6 of 6 requests were answered with 429');
  });

  it('end at errors, with what they were', async () => {
    const { steps, limit } = await runLoad(target('dev/400'), options);

    expect(steps).toHaveLength(1);
    expect(limit).toMatch(/^6 of 6 requests failed \(\d{3}\)$/);
  });
});

describe('the table of load tests', () => {
  it('replaces the rows of the same host, and keeps the others', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'load-table-'));
    const page = join(folder, 'page.md');
    await writeFile(page, 'before\n<!-- measured: begin -->\n<!-- measured: end -->\nafter\n');
    const { steps } = await runLoad(target('Hello'), {
      steps: [1],
      secondsPerStep: 30,
      maxRequests: 2,
      endsAtLimit: false,
    });

    await writeLoadTable({ where: 'one', version: '1.0.0', steps }, page);
    await writeLoadTable({ where: 'two', version: '1.0.0', steps }, page);
    await writeLoadTable({ where: 'one', version: '2.0.0', steps }, page);

    const text = await readFile(page, 'utf8');
    await rm(folder, { recursive: true });
    expect(text.match(/^\| one .*/gm)).toEqual([expect.stringContaining('2.0.0')]);
    expect(text.match(/^\| two .*/gm)).toHaveLength(1);
    expect(text).toMatch(/^before\n[\s\S]*after\n$/);
  });
});
