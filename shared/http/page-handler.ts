import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { ServiceError } from '../errors.ts';
import type { HandlerDependencies, RequestContext } from './request-context.ts';
import type { PlainResponse } from './responses.ts';

export interface PageDependencies extends HandlerDependencies {
  readonly isPageEnabled: boolean;
}

interface Page {
  readonly html: string;
  readonly policy: string;
}

let page: Promise<Page> | undefined;

/** GET /: a page for people, without any content from elsewhere. 404 where the setting is off. */
export async function handlePage(
  _context: RequestContext,
  { isPageEnabled }: PageDependencies,
): Promise<PlainResponse> {
  if (!isPageEnabled) throw new ServiceError('not_found', 'There is no page here');
  page ??= loadPage();
  const { html, policy } = await page;
  return {
    status: 200,
    headers: {
      'content-type': 'text/html; charset=utf-8',
      'cache-control': 'no-cache',
      'content-security-policy': policy,
    },
    body: html,
  };
}

async function loadPage(): Promise<Page> {
  const html = await readPackagedFile('chat-page.html');
  return { html, policy: policyOf(html) };
}

let openApi: Promise<string> | undefined;

/** GET /openapi.json: the description of every route, which the build copies from the project. */
export async function handleOpenApi(): Promise<PlainResponse> {
  openApi ??= readPackagedFile('openapi.json');
  return {
    status: 200,
    headers: { 'content-type': 'application/json; charset=utf-8', 'cache-control': 'no-cache' },
    body: await openApi,
  };
}

/** A text file that the build copies to the top of the package. */
export async function readPackagedFile(name: string): Promise<string> {
  // The bundle is in a folder of the package; the sources are beside this module or at the root.
  const folders = ['..', '.', '../..'].map((folder) => join(import.meta.dirname, folder, name));
  const [inPackage = '', besideSources = '', atRoot = ''] = folders;
  return readFile(inPackage, 'utf8')
    .catch(() => readFile(besideSources, 'utf8'))
    .catch(() => readFile(atRoot, 'utf8'));
}

/** Only the script and the style of this file run, and they call only this service. */
function policyOf(html: string): string {
  return [
    "default-src 'none'",
    `script-src ${hashOf(html, /<script type="module">(.*?)<\/script>/s)}`,
    `style-src ${hashOf(html, /<style>(.*?)<\/style>/s)}`,
    "connect-src 'self'",
    'img-src data:',
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
  ].join('; ');
}

function hashOf(html: string, pattern: RegExp): string {
  const text = pattern.exec(html)?.[1] ?? '';
  return `'sha256-${createHash('sha256').update(text).digest('base64')}'`;
}
