import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { PROJECT_ROOT } from '../project-root.ts';
import { fail, pass, type Finding } from './finding.ts';

const SOURCES = [
  '*.{json,toml,yaml,md,ts}',
  'Dockerfile',
  '{functions,shared,dev,infra,docs,examples}/**/*.{ts,js,json,toml,bicep,kql,md,sh,cs,yml}',
  '.github/**/*.yml',
] as const;

/** The published key of the storage emulator, the same on every machine. */
const EMULATOR_KEY =
  'Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==';

/** What a real secret looks like, by the formats that their issuers publish. */
const SECRETS: readonly (readonly [string, RegExp])[] = [
  ['a private key', /-----BEGIN (?:RSA |EC |OPENSSH )?PRIVATE KEY-----\s*[A-Za-z0-9+/]{40}/],
  ['a storage key', /AccountKey=[A-Za-z0-9+/]{80,}==/],
  ['a shared access signature', /[?&]sig=[A-Za-z0-9%+/]{40,}/],
  ['an OpenAI key', /\bsk-(?:proj-)?[A-Za-z0-9_-]{40,}/],
  ['a GitHub token', /\b(?:ghp|gho|ghs|github_pat)_[A-Za-z0-9_]{30,}/],
  ['a token', /\beyJ[A-Za-z0-9_-]{20,}\.eyJ[A-Za-z0-9_-]{20,}\.[A-Za-z0-9_-]{20,}/],
  ['a password in an address', /\b[a-z]+:\/\/[^\s/:@'"`$]+:[^\s/@'"`$]{8,}@(?!example)/],
];

/** Searches every source file for texts in the format of a secret. Prints places, never values. */
export function findSecrets(root = PROJECT_ROOT): Finding {
  const files = [...new Set(SOURCES.flatMap((pattern) => globSync(pattern, { cwd: root })))];
  const found = files.flatMap((path) => {
    const text = readFileSync(join(root, path), 'utf8').replaceAll(EMULATOR_KEY, '');
    return SECRETS.filter(([, pattern]) => pattern.test(text)).map(([name]) => `${path}: ${name}`);
  });
  return found.length === 0
    ? pass('no source file holds a text in the format of a secret')
    : fail(found.join('; '));
}
