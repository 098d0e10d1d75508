import { execFile } from 'node:child_process';
import { readFile, writeFile } from 'node:fs/promises';
import { resolve as resolvePath } from 'node:path';
import { parseArgs, promisify } from 'node:util';
import * as z from 'zod';
import { CliError, describeCliError, firstLine } from './cli-error.ts';
import { PROJECT_ROOT, isMain } from './project-root.ts';

/** An image that a Dockerfile builds on, such as `node:22-bookworm-slim@sha256:…`. */
export interface BaseImage {
  readonly image: string;
  readonly isPinned: boolean;
}

const FROM = /^FROM\s+(?:--platform=\S+\s+)?(\S+)(?:\s+AS\s+(\S+))?\s*$/gim;
const DIGEST = /@sha256:[0-9a-f]{64}$/;
/** Time limit for an answer of the registry. */
const REGISTRY_TIMEOUT_MS = 60_000;

/** Lists the images that a Dockerfile builds on, without its own stages. */
export function listBases(dockerfile: string): BaseImage[] {
  const stages = new Set(['scratch']);
  const bases: BaseImage[] = [];
  for (const [, image = '', stage] of dockerfile.matchAll(FROM)) {
    if (!stages.has(image)) bases.push({ image, isPinned: DIGEST.test(image) });
    if (stage !== undefined) stages.add(stage);
  }
  return bases;
}

const manifest = z.object({ digest: z.string().regex(/^sha256:[0-9a-f]{64}$/) });

/**
 * The current digest of an image's tag in its registry.
 * @throws CliError if Docker or the registry does not return one
 */
async function resolveDigest(image: string): Promise<string> {
  try {
    const { stdout } = await promisify(execFile)(
      'docker',
      ['buildx', 'imagetools', 'inspect', image, '--format', '{{json .Manifest}}'],
      { timeout: REGISTRY_TIMEOUT_MS },
    );
    return manifest.parse(JSON.parse(stdout)).digest;
  } catch (error) {
    throw new CliError(`Cannot find the digest of ${image}: ${firstLine(error)}`, {
      cause: error,
    });
  }
}

/**
 * `npm run pin-bases`: exits with 1 while a base has no digest; `--resolve` adds missing digests.
 */
async function runPinBases(
  path: string,
  { resolve }: { readonly resolve: boolean },
): Promise<void> {
  let text = await readFile(path, 'utf8');
  if (resolve) {
    for (const { image } of listBases(text).filter(({ isPinned }) => !isPinned)) {
      const pinned = `${image}@${await resolveDigest(image)}`;
      text = text.replace(FROM, (line, base) =>
        base === image ? line.replace(image, pinned) : line,
      );
    }
    await writeFile(path, text);
  }
  const bases = listBases(text);
  for (const { image, isPinned } of bases) {
    console.log(`${isPinned ? 'pinned    ' : 'not pinned'}  ${image}`);
  }
  if (bases.length === 0) throw new CliError(`Cannot check ${path}: it names no base image`);
  if (bases.some(({ isPinned }) => !isPinned)) {
    throw new CliError(
      'A base image without a digest may change: run npm run pin-bases -- --resolve',
    );
  }
}

if (isMain(import.meta.filename)) {
  const { values, positionals } = parseArgs({
    options: { resolve: { type: 'boolean', default: false } },
    allowPositionals: true,
  });
  const path = resolvePath(PROJECT_ROOT, positionals[0] ?? 'Dockerfile');
  runPinBases(path, values).catch((error: unknown) => {
    console.error(describeCliError(error));
    process.exitCode = 1;
  });
}
