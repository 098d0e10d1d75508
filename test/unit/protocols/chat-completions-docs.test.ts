import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { completionsSchema } from '../../../shared/protocols/openai-chat-schema.ts';

describe('docs/chat-completions.md', () => {
  it('says of each parameter what happens', () => {
    const rows = readFileSync('docs/chat-completions.md', 'utf8')
      .split('\n')
      .filter((line) => line.startsWith('| `'))
      .map((line) => line.split(' | ')[0] ?? '');

    const described = rows.flatMap((cell) =>
      [...cell.matchAll(/`(\w+)`/g)].map(([, name]) => name),
    );

    expect(described).toHaveLength(new Set(described).size);
    expect(new Set(described)).toEqual(new Set(Object.keys(completionsSchema.shape)));
  });
});
