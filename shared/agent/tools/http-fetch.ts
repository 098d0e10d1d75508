import * as z from 'zod';
import { defineTool, type Tool } from '../tool.ts';
import { safeFetch, type SafeFetchOptions } from './safe-fetch.ts';

/** The whole fetch with its redirects. */
const TIMEOUT_MS = 5_000;

/** Reads a page or a document from the hosts that the settings allow. */
export function createHttpFetch(options: SafeFetchOptions): Tool {
  return defineTool({
    name: 'http_fetch',
    description: `Reads a text by HTTPS from one of these hosts: ${options.allowedHosts.join(', ')}.`,
    parameters: z.strictObject({ url: z.string().describe('The https URL to read.') }),
    effect: 'none',
    dataFrom: 'the Internet',
    timeoutMs: TIMEOUT_MS,
    async run({ url }, { signal }) {
      const { status, contentType, text, isCut } = await safeFetch(url, { ...options, signal });
      const length = isCut ? ' It was cut after 1 MiB.' : '';
      return `Status ${status}, ${contentType}.${length}\n${text}`;
    },
  });
}
