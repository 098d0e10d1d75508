import { readFileSync } from 'node:fs';

const CHECK_MS = 250;
const SHELL = /^(ba|da|z|k)?sh$/;

/**
 * Calls back once npm, under which this process runs, is gone: a signal that ends npm or the shell
 * between us is not always handed on, and a kill -9 never is.
 */
export function whenNpmIsGone(act: () => void): void {
  const parent = process.ppid;
  const npm = npmAbove(parent);
  const timer = setInterval(() => {
    if (process.ppid === parent && (npm === undefined || npmAbove(parent) === npm)) return;
    clearInterval(timer);
    act();
  }, CHECK_MS);
  timer.unref();
}

/** npm's id when a shell stands between; without one the parent is npm. Known where /proc is. */
function npmAbove(parent: number): number | undefined {
  try {
    const stat = readFileSync(`/proc/${parent}/stat`, 'utf8');
    const name = stat.slice(stat.indexOf('(') + 1, stat.lastIndexOf(')'));
    const [, above] = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return SHELL.test(name) ? Number(above) : undefined;
  } catch {
    return undefined;
  }
}
