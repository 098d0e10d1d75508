import { postChat } from './post-chat.ts';

/** What the platform's front end would say about where a request came from. */
export function from(address: string): Record<string, string> {
  return { 'x-forwarded-for': address };
}

export interface Burst {
  readonly url: string;
  readonly times: number;
  readonly headers?: Record<string, string>;
  /** Each request asks something else unless all ask the same. */
  readonly body?: (index: number) => unknown;
}

/** So many chats at once, each read to its end. */
export function chatAtOnce({ url, times, headers = {}, body }: Burst): Promise<ReadChat[]> {
  return Promise.all(
    Array.from({ length: times }, async (_, index) => {
      const asked = body?.(index) ?? { message: `Question ${index}` };
      return readChat(await postChat(url, asked, { headers }));
    }),
  );
}

export interface ReadChat {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
}

export async function readChat(response: Response): Promise<ReadChat> {
  return { status: response.status, headers: response.headers, text: await response.text() };
}

/** How often each status came, as `{ 200: 60, 429: 140 }`. */
export function countStatuses(chats: readonly ReadChat[]): Record<number, number> {
  const counts: Record<number, number> = {};
  for (const { status } of chats) counts[status] = (counts[status] ?? 0) + 1;
  return counts;
}

/** What a RateLimit header says is left of a policy. */
export function remainingOf({ headers }: { headers: Headers }, policy: 'rpm' | 'tpm'): number {
  const text = headers.get('ratelimit') ?? '';
  const [, remaining] = new RegExp(`"${policy}";r=(\\d+)`).exec(text) ?? [];
  return Number(remaining);
}
