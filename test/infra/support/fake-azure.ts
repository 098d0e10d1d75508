import { once } from 'node:events';
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { delimiter, join, resolve } from 'node:path';
import { onTestFinished } from 'vitest';
import { runScript } from '../../support/run-script.ts';

/** What the management API answers, by a piece of the path. */
export type Answers = Readonly<Record<string, (path: string) => unknown>>;

export interface FakeAzure {
  readonly url: string;
  /** Method and path of every call, decoded. */
  readonly asked: readonly string[];
}

/** The management API on loopback. It returns the answers of the test, and requires a token. */
export async function startFakeAzure(answers: Answers): Promise<FakeAzure> {
  const asked: string[] = [];
  const server = createServer((request, response) => {
    const path = decodeURIComponent(request.url ?? '');
    asked.push(`${request.method} ${path}`);
    const [, answer] = Object.entries(answers).find(([piece]) => path.includes(piece)) ?? [];
    const isKnown = request.headers.authorization === 'Bearer a-token-of-azd';
    const status = isKnown ? (answer === undefined ? 404 : 200) : 401;
    response.writeHead(status, { 'content-type': 'application/json' });
    response.end(JSON.stringify(answer === undefined ? {} : answer(path)));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  const address = server.address();
  return { url: `http://127.0.0.1:${typeof address === 'object' ? address?.port : 0}`, asked };
}

export interface HookOutcome {
  readonly code: number | null;
  readonly output: string;
}

/** Runs a hook, with arguments after its name, and a program named azd that prints a token. */
export async function runHook(
  command: string,
  env: Readonly<Record<string, string>>,
): Promise<HookOutcome> {
  const tools = await mkdtemp(join(tmpdir(), 'azd-'));
  onTestFinished(() => rm(tools, { recursive: true, force: true }));
  const azd = join(tools, 'azd');
  await writeFile(azd, '#!/bin/sh\necho \'{"token":"a-token-of-azd","expiresOn":"2099-01-01"}\'\n');
  await chmod(azd, 0o755);
  const path = [tools, process.env['PATH'] ?? ''].join(delimiter);
  const [name = '', ...args] = command.split(' ');
  const script = runScript(resolve('infra/hooks', name), { args, env: { ...env, PATH: path } });
  const { code } = await script.ended;
  return { code, output: `${script.stdout()}${script.stderr()}` };
}
