import { readFileSync } from 'node:fs';
import { createQueueService } from '../../dev/batch/queue-service.ts';
import { eventually } from '../e2e/support/post-chat.ts';
import { runKql, type Row, type Tables } from '../infra/support/run-kql.ts';
import type { Stack } from './stack.ts';

/** One runbook of docs/runbooks/alerts, tried with its fault. */
export interface Rehearsal {
  /** The name of the file. */
  readonly runbook: string;
  readonly alerts: readonly string[];
  readonly fault: string;
  readonly inject: (stack: Stack) => Promise<void>;
  /** What callers do while the fault lasts. */
  readonly traffic?: (stack: Stack) => Promise<unknown>;
  /** Whether an alert without a query fires. */
  readonly probe?: (stack: Stack) => Promise<boolean>;
  /** Rows that only the platform writes, by the same facts. */
  readonly platformRows?: (stack: Stack) => Promise<Tables>;
  /** What the diagnosis of the runbook shows. @throws Error if it does not lead to the cause */
  readonly diagnose: (stack: Stack, tables: Tables) => Promise<string>;
  /** The step of the runbook that ends the fault. */
  readonly mitigation: string;
  readonly mitigate: (stack: Stack) => Promise<void>;
  /** @throws Error until the app serves again; repeated until then */
  readonly verify: (stack: Stack) => Promise<void>;
}

/** Tokens in the place of DAILY_TOKEN_BUDGET. */
export const TOKEN_BUDGET = 10_000;

/** Whether the rule of an alert fires for these rows. */
export function fires(alert: string, tables: Tables): boolean {
  const query = readFileSync(`infra/queries/${alert}.kql`, 'utf8');
  const rows = runKql(query, { tables, now: new Date() });
  if (alert !== 'token-budget') return rows.length > 0;
  return rows.some(({ tokens }) => Number(tokens) > TOKEN_BUDGET);
}

/** The rows of the query that a runbook shows. */
export function runSnippet(runbook: string, tables: Tables): readonly Row[] {
  const text = readFileSync(`docs/runbooks/alerts/${runbook}.md`, 'utf8');
  const query = /```kusto\n([\s\S]*?)```/.exec(text)?.[1];
  if (query === undefined) throw new Error(`${runbook}.md shows no query`);
  return runKql(query, { tables, now: new Date() });
}

export function expectThat(isTrue: boolean, what: string): void {
  if (!isTrue) throw new Error(`Cannot continue: ${what}`);
}

export async function answersChats(stack: Stack): Promise<void> {
  const replies = await stack.chats(3, 'Hello');
  const statuses = replies.map(({ status }) => status);
  expectThat(
    statuses.every((status) => status === 200),
    `chats answered ${statuses.join(', ')}`,
  );
}

export async function isReady(stack: Stack): Promise<void> {
  await answersChats(stack);
  const { text } = await stack.get('/ready');
  expectThat(text.startsWith(`{"status":"ready"`), text);
}

/** The rows of a table whose text contains all of the words. */
export function linesWith(tables: Tables, words: string): readonly Row[] {
  return (tables['AppTraces'] ?? []).filter(({ Message }) => String(Message).includes(words));
}

export async function readyReason(stack: Stack, pattern: RegExp): Promise<string> {
  const { text } = await stack.get('/ready');
  const found = pattern.exec(text)?.[0];
  if (found === undefined) throw new Error(`/ready shows another state: ${text}`);
  return `/ready: ${found.replaceAll('"', '')}`;
}

export async function hasMessages(stack: Stack): Promise<boolean> {
  const { peekedMessageItems } = await stack.queue('batch-jobs').peekMessages();
  return peekedMessageItems.length > 0;
}

export async function submit(stack: Stack, jobId: string) {
  const connection = {
    kind: 'connectionString',
    connectionString: stack.connectionString,
  } as const;
  const service = createQueueService(connection);
  await service.submit(jobId, '{"custom_id":"a","body":{"message":"Hello"}}\n');
  return service;
}

export async function runBatch(stack: Stack, jobId: string): Promise<void> {
  const service = await submit(stack, jobId);
  await eventually('the job has ended', async () => (await service.progress(jobId)).ended);
}
