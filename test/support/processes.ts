import { readFileSync, readdirSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';

/** The processes below a process, at any depth. */
export function descendantsOf(pid: number): number[] {
  const children = new Map<number, number[]>();
  for (const entry of readdirSync('/proc')) {
    const parent = parentOf(Number(entry));
    if (parent !== undefined) {
      children.set(parent, [...(children.get(parent) ?? []), Number(entry)]);
    }
  }
  const found: number[] = [];
  const collect = (parent: number): void => {
    for (const child of children.get(parent) ?? []) {
      found.push(child);
      collect(child);
    }
  };
  collect(pid);
  return found;
}

/** Whether a process still does anything; a zombie does not. */
export function isAlive(pid: number): boolean {
  return stateOf(pid) !== undefined;
}

/** The command line of a process, to tell the children of one process apart. */
export function commandOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ').trim();
  } catch {
    return '';
  }
}

/** Waits until a process has a child whose command line holds the text, and returns its id. */
export async function waitForChild(pid: number, text: string): Promise<number> {
  const deadline = Date.now() + 30_000;
  for (;;) {
    const found = descendantsOf(pid).find((child) => commandOf(child).includes(text));
    if (found !== undefined) return found;
    if (Date.now() > deadline) throw new Error(`process ${pid} has no child with ${text}`);
    await delay(10);
  }
}

/** Waits until none of them is left; says which remain when that takes too long. */
export async function waitUntilGone(pids: readonly number[]): Promise<void> {
  const deadline = Date.now() + 30_000;
  while (pids.some((pid) => isAlive(pid))) {
    if (Date.now() > deadline) {
      throw new Error(`still running: ${pids.filter((pid) => isAlive(pid)).join(', ')}`);
    }
    await delay(20);
  }
}

function parentOf(pid: number): number | undefined {
  return stateOf(pid)?.parent;
}

function stateOf(pid: number): { readonly parent: number } | undefined {
  if (!Number.isInteger(pid)) return undefined;
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    // The name in parentheses may hold anything; the fields after it are state and parent.
    const [state, parent] = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return state === 'Z' || state === 'X' ? undefined : { parent: Number(parent) };
  } catch {
    return undefined;
  }
}
