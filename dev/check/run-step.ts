import { spawn } from 'node:child_process';
import { delimiter, join } from 'node:path';
import { PROJECT_ROOT } from '../project-root.ts';

export interface Step {
  readonly name: string;
  readonly command: string;
  readonly args: readonly string[];
  /** Shows the output as it arrives; otherwise it is shown only after a failure. */
  readonly live?: boolean;
}

export interface StepOutcome {
  readonly exitCode: number;
  readonly output: string;
}

/** Runs one program of the check with the project's own tools first in the path. */
export async function runStep(step: Step): Promise<StepOutcome> {
  const { promise, resolve } = Promise.withResolvers<number>();
  const child = spawn(step.command, step.args, {
    cwd: PROJECT_ROOT,
    env: { ...process.env, PATH: pathWithTools() },
    stdio: step.live ? 'inherit' : ['ignore', 'pipe', 'pipe'],
    // Tools are command scripts there, which only a shell can start.
    shell: process.platform === 'win32',
  });
  let output = '';
  const collect = (chunk: Buffer): void => {
    output += chunk.toString();
  };
  child.stdout?.on('data', collect);
  child.stderr?.on('data', collect);
  child.once('error', (error) => {
    output += error.message;
    resolve(1);
  });
  child.once('close', (code) => resolve(code ?? 1));
  const pass = (signal: NodeJS.Signals): void => {
    child.kill(signal);
  };
  process.once('SIGTERM', pass);
  const exitCode = await promise;
  process.off('SIGTERM', pass);
  return { exitCode, output };
}

function pathWithTools(): string {
  return [join(PROJECT_ROOT, 'node_modules', '.bin'), process.env['PATH'] ?? ''].join(delimiter);
}
