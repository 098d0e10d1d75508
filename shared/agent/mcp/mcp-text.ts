import * as z from 'zod';
import type { ModelTool } from '../../model/model.ts';

/** A tool as the server describes it. */
export interface McpToolDescription {
  readonly name: string;
  readonly description: string;
  readonly parameters: ModelTool['parameters'];
}

/** Enough for any useful description; servers are not asked to be brief. */
const MAX_DESCRIPTION_CHARS = 1_024;
const MAX_FIELD_TEXT_CHARS = 512;
const MAX_SCHEMA_CHARS = 16_384;
const MAX_SCHEMA_DEPTH = 32;
const MAX_CONTENT_ITEMS = 1_000;

const toolSchema = z.looseObject({
  name: z.string(),
  description: z.string().default(''),
  inputSchema: z.looseObject({ type: z.literal('object') }),
  execution: z.looseObject({ taskSupport: z.unknown().optional() }).optional(),
});

/**
 * Reads the description of a tool; undefined if the agent cannot use it. The text of a server is
 * text from outside that becomes a part of every prompt: it loses invisible characters, is cut, and
 * is quoted as one JSON string with its source, so that it cannot look like instructions of ours.
 */
export function readToolDescription(tool: unknown, server: string): McpToolDescription | undefined {
  const parsed = toolSchema.safeParse(tool);
  if (!parsed.success || parsed.data.execution?.taskSupport === 'required') return undefined;
  const { name, description, inputSchema } = parsed.data;
  const { $schema: _dialect, ...parameters } = inputSchema;
  const cleaned = cleanSchema(parameters, 0);
  if (!isRecord(cleaned) || JSON.stringify(cleaned).length > MAX_SCHEMA_CHARS) return undefined;
  const quoted = JSON.stringify(cleanText(description, MAX_DESCRIPTION_CHARS));
  return {
    name,
    description: `A tool of the server "${server}", which describes it as ${quoted}.`,
    parameters: cleaned,
  };
}

/** Format characters hide text from people that a model reads; control characters break lines. */
function cleanText(text: string, maxChars: number): string {
  const visible = text.replaceAll(/\p{Cf}/gu, '').replaceAll(/[\s\p{Cc}]+/gu, ' ');
  return visible.trim().slice(0, maxChars).toWellFormed();
}

/** A copy whose texts for people are cleaned; undefined below the greatest depth. */
function cleanSchema(value: unknown, depth: number): unknown {
  if (depth > MAX_SCHEMA_DEPTH) return undefined;
  if (Array.isArray(value)) return value.map((item) => cleanSchema(item, depth + 1));
  if (!isRecord(value)) return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, inner]) => {
      const isText = (key === 'description' || key === 'title') && typeof inner === 'string';
      return [key, isText ? cleanText(inner, MAX_FIELD_TEXT_CHARS) : cleanSchema(inner, depth + 1)];
    }),
  );
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

const contentSchema = z.discriminatedUnion('type', [
  z.looseObject({ type: z.literal('text'), text: z.string() }),
  z.looseObject({ type: z.enum(['image', 'audio']), data: z.string(), mimeType: z.string() }),
  z.looseObject({ type: z.literal('resource_link'), uri: z.string(), name: z.string() }),
  z.looseObject({
    type: z.literal('resource'),
    resource: z.looseObject({
      uri: z.string(),
      mimeType: z.string().optional(),
      text: z.string().optional(),
      blob: z.string().optional(),
    }),
  }),
]);

const resultSchema = z.looseObject({
  content: z.array(z.unknown()).default([]),
  structuredContent: z.unknown().optional(),
  isError: z.boolean().optional(),
});

/** What a model reads of a result, and whether the tool reports a failure. */
export interface McpToolOutput {
  readonly text: string;
  readonly isError: boolean;
}

/** Undefined if the result has not the shape of the protocol. */
export function readToolResult(result: unknown): McpToolOutput | undefined {
  const parsed = resultSchema.safeParse(result);
  if (!parsed.success) return undefined;
  const { content, structuredContent, isError = false } = parsed.data;
  const parts = content.slice(0, MAX_CONTENT_ITEMS).map(describeContent);
  // Servers repeat structured content as text for clients that do not know it.
  if (parts.length === 0 && structuredContent !== undefined) {
    parts.push(JSON.stringify(structuredContent));
  }
  return { text: parts.join('\n') || 'The result is empty.', isError };
}

/** Images, audio and files become one line each: a tool result of a model is a text. */
function describeContent(item: unknown): string {
  const parsed = contentSchema.safeParse(item);
  if (!parsed.success) return '[content of an unknown type, left out]';
  const { data } = parsed;
  switch (data.type) {
    case 'text':
      return data.text;
    case 'image':
    case 'audio':
      return describeFile(data.type, { mimeType: data.mimeType, base64: data.data });
    case 'resource_link':
      return `[link to ${JSON.stringify(data.name)}: ${data.uri}]`;
    case 'resource': {
      const { uri, mimeType = 'unknown type', text, blob = '' } = data.resource;
      return text === undefined ? describeFile(uri, { mimeType, base64: blob }) : `${uri}\n${text}`;
    }
  }
}

interface EncodedFile {
  readonly mimeType: string;
  readonly base64: string;
}

function describeFile(what: string, { mimeType, base64 }: EncodedFile): string {
  const bytes = Math.floor((base64.length * 3) / 4);
  return `[${what}, ${mimeType}, ${bytes} bytes, left out]`;
}
