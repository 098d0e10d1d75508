import * as z from 'zod';
import { parseRequest } from './validation.ts';

/** About 25,000 tokens: more belongs into a file or a batch. */
const MAX_MESSAGE_CHARS = 100_000;

const chatRequestSchema = z.strictObject({
  message: z
    .string()
    .max(MAX_MESSAGE_CHARS)
    .refine((text) => text.trim() !== '', 'must not be blank'),
  stream: z.boolean().optional(),
  maxOutputTokens: z.int().min(1).max(128_000).optional(),
  metadata: z
    .record(z.string().max(64), z.string().max(512))
    .refine((map) => Object.keys(map).length <= 16, 'must have at most 16 keys')
    .optional(),
});

/** What a caller may ask: the body of POST /api/chat and of a batch item. */
export type ChatRequest = z.infer<typeof chatRequestSchema>;

/** @throws ServiceError invalid_request naming the field */
export function parseChatRequest(body: unknown): ChatRequest {
  return parseRequest(chatRequestSchema, body);
}
