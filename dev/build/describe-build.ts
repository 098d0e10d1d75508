import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { BuildInfo } from '../../shared/telemetry/build-info.ts';

const COMMIT = /^[0-9a-f]{40}$/;
/** As many digits as git shows of a commit in a large repository. */
const SHORT_COMMIT_LENGTH = 12;

export interface BuildSource {
  /** The folder of package.json, and of the repository where there is one. */
  readonly root: string;
  readonly packageVersion: string;
  readonly now: Date;
  /** The commit, for builds outside a repository, such as in a container. */
  readonly commit?: string | undefined;
}

/** Names the commit, the version and the time of a build. */
export async function describeBuild(source: BuildSource): Promise<BuildInfo> {
  const commit = COMMIT.test(source.commit ?? '') ? source.commit : await readCommit(source.root);
  return {
    version:
      commit === undefined ? source.packageVersion : `${source.packageVersion}+${shorten(commit)}`,
    commit: commit ?? 'unknown',
    builtAt: source.now.toISOString(),
  };
}

/** Semantic versioning allows letters, digits, dots and hyphens behind the plus sign. */
function shorten(commit: string): string {
  const [digits = '', ...suffixes] = commit.split('-');
  return [digits.slice(0, SHORT_COMMIT_LENGTH), ...suffixes].join('-');
}

async function readCommit(root: string): Promise<string | undefined> {
  // A package that was unpacked into the repository of something else has no commit of its own.
  if (!existsSync(join(root, '.git'))) return undefined;
  try {
    const commit = await git(root, ['rev-parse', 'HEAD']);
    const changes = await git(root, ['status', '--porcelain', '--untracked-files=no']);
    return changes === '' ? commit : `${commit}-dirty`;
  } catch {
    return undefined;
  }
}

async function git(root: string, command: readonly string[]): Promise<string> {
  const { stdout } = await promisify(execFile)('git', ['-C', root, ...command], {
    timeout: 10_000,
  });
  return stdout.trim();
}
