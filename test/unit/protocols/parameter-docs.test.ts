import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { completionsSchema } from '../../../shared/protocols/openai-chat-schema.ts';
import { responsesSchema } from '../../../shared/protocols/openai-responses-schema.ts';

describe.each([
  { page: 'docs/chat-completions.md', schema: completionsSchema },
  { page: 'docs/responses.md', schema: responsesSchema },
])('$page', ({ page, schema }) => {
  it('says of each parameter what happens', () => {
    const text = readFileSync(page, 'utf8');

    const [table = ''] = /^\| parameter \|[^]*?\n\n/m.exec(text) ?? [];
    const rows = table
      .split('\n')
      .filter((line) => line.startsWith('| `'))
      .map((line) => line.split(' | ')[0] ?? '');
    const described = rows.flatMap((cell) =>
      [...cell.matchAll(/`(\w+)`/g)].map(([, name]) => name),
    );

    expect(described).toHaveLength(new Set(described).size);
    expect(new Set(described)).toEqual(new Set(Object.keys(schema.shape)));
  });
});
