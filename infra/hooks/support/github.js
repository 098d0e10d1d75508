import { required } from './terminal.js';

/** Reads from GitHub's API. @throws Error when it does not answer with success */
export async function getJson(path) {
  const url = `${process.env.GITHUB_API_URL ?? 'https://api.github.com'}${path}`;
  const response = await fetch(url, {
    headers: {
      accept: 'application/vnd.github+json',
      authorization: `Bearer ${required('GITHUB_TOKEN')}`,
      'x-github-api-version': '2022-11-28',
    },
    redirect: 'error',
    signal: AbortSignal.timeout(30_000),
  });
  if (!response.ok) throw new Error(`GitHub answered ${response.status} to ${path}`);
  return response.json();
}
