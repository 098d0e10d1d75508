import { readFileSync } from 'node:fs';

const CHECK_MS = 250;
const SHELL = /^(ba|da|z|k)?sh$/;

/**
 * Calls back when npm, which started this process, has ended: npm or a shell between them does not
 * always forward a signal, and never a kill -9.
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

/**
 * The process id of npm if a shell is between; otherwise the parent is npm. Known where /proc
 * exists.
 */
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
