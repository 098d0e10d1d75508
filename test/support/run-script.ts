import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { onTestFinished } from 'vitest';

export interface RunningScript {
  readonly child: ChildProcess;
  readonly pid: number;
  /** Everything written so far. */
  stdout(): string;
  stderr(): string;
  /** Resolves when the standard output holds the text; rejects when the process ends before. */
  waitFor(text: string | RegExp): Promise<void>;
  readonly ended: Promise<{ readonly code: number | null; readonly signal: string | null }>;
}

export interface ScriptOptions {
  readonly args?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
}

/** Runs a script as a process of its own, the way a shell would; it ends with its test at the latest. */
export function runScript(path: string, options: ScriptOptions = {}): RunningScript {
  const child = spawn(process.execPath, [path, ...(options.args ?? [])], {
    cwd: options.cwd,
    env: { ...cleanEnvironment(), ...options.env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  onTestFinished(() => void child.kill('SIGKILL'));
  let out = '';
  let err = '';
  const { promise: ended, resolve } = Promise.withResolvers<{
    code: number | null;
    signal: string | null;
  }>();
  child.stdout.on('data', (chunk: Buffer) => (out += chunk.toString()));
  child.stderr.on('data', (chunk: Buffer) => (err += chunk.toString()));
  child.once('close', (code, signal) => resolve({ code, signal }));
  const holds = (text: string | RegExp): boolean =>
    typeof text === 'string' ? out.includes(text) : text.test(out);
  return {
    child,
    pid: child.pid ?? 0,
    stdout: () => out,
    stderr: () => err,
    ended,
    waitFor(text) {
      return new Promise((done, fail) => {
        const check = (): void => {
          if (holds(text)) done();
        };
        child.stdout.on('data', check);
        void ended.then(() => fail(new Error(`ended without ${String(text)}:\n${out}\n${err}`)));
        check();
      });
    },
  };
}

/** The environment of a plain shell: nothing of npm and the test runner, and no model's settings. */
function cleanEnvironment(): Record<string, string> {
  const kept = Object.entries(process.env).filter(
    ([name, value]) =>
      value !== undefined && !/^(npm_|VITEST|TEST$|NODE_|OPENAI_|AZURE|PORT$)/.test(name),
  );
  return Object.fromEntries(kept.map(([name, value]) => [name, value ?? '']));
}
