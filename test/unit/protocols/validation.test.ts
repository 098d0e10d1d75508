import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { parseRequest } from '../../../shared/protocols/validation.ts';

const schema = z.strictObject({
  items: z
    .array(z.strictObject({ id: z.string(), kind: z.enum(['a', 'b']).optional() }))
    .min(1)
    .max(2),
  format: z.union([z.string(), z.number()]).optional(),
  kind: z
    .discriminatedUnion('type', [
      z.strictObject({ type: z.literal('a') }),
      z.strictObject({ type: z.literal('b'), on: z.literal(true) }),
    ])
    .optional(),
  list: z
    .union(
      [z.string(), z.array(z.union([z.string().min(1), z.number()])).max(2)],
      'must be a text or two',
    )
    .optional(),
});

describe('parseRequest', () => {
  it('returns what the schema made of the value', () => {
    expect(parseRequest(schema, { items: [{ id: 'x' }] })).toEqual({ items: [{ id: 'x' }] });
  });

  it.each([
    [{ items: [] }, 'items', '"items" must be at least 1 items long'],
    [{ items: [{ id: 'a' }, { id: 'b' }, { id: 'c' }] }, 'items', 'must be at most 2 items long'],
    [{ items: [{ id: 'a' }, {}] }, 'items.1.id', '"items.1.id" is required'],
    [{ items: [{ id: 7 }] }, 'items.0.id', '"items.0.id" must be of type string'],
    [{ items: [{ id: 'a', x: 1 }] }, 'items.0.x', 'is not a field that is known here'],
    [{ items: [{ id: 'a', kind: 'canary' }] }, 'items.0.kind', 'must be one of a, b'],
    [{ items: [{ id: 'a' }], format: {} }, 'format', '"format" must be of type string or number'],
    [{ items: [{ id: 'a' }], kind: { type: 'c' } }, 'kind.type', 'must be one of a, b'],
    [{ items: [{ id: 'a' }], kind: {} }, 'kind.type', '"kind.type" is required and must be one of'],
    [{ items: [{ id: 'a' }], kind: { type: 'b' } }, 'kind.on', 'is required and must be true'],
    [{ items: [{ id: 'a' }], list: [1, ''] }, 'list.1', 'must be at least 1 characters long'],
    [{ items: [{ id: 'a' }], list: ['a', 'b', 'c'] }, 'list', '"list" must be a text or two'],
  ])('names the place in %j', (value, param, text) => {
    expect(() => parseRequest(schema, value)).toThrow(
      expect.objectContaining({
        code: 'invalid_request',
        param,
        message: expect.stringContaining(text),
      }),
    );
  });
});
