import { createRedactor } from '../../../shared/guardrails/log-redactor.ts';
import { createBatchClient, itemLines, waitUntil } from '../batch-client.ts';
import { custom, type FaultCase, type Finding } from '../fault-case.ts';
import type { FaultEnvironment } from '../fault-environment.ts';

const FIELD = 'canary_field_5d2c81';
const PHONE_NUMBER = '+4915123456789';
const PROBES = 20;
const LOGGED_WITHIN_MS = 10_000;
/** The longest field of a log line, of characters that can all belong to an account number. */
const WORST_TEXT = `DE89${' AB1'.repeat(500)}`.slice(0, 2_000);
const PLAIN_TEXT = 'a plain text 12 '.repeat(12_500);

/** T11: what a caller can bring into the log, and what it costs. */
export const logContents: readonly FaultCase[] = [
  custom({
    id: 'T11',
    injected: `${PROBES} probes of /ready, and unknown fields with a name and a phone number`,
    promised: 'none is logged; the id of a batch is',
    modes: ['json'],
    run: inspectLog,
  }),
  custom({
    id: 'T11',
    injected: 'the worst text for the redaction, of 2,000 characters',
    promised: 'faster than a plain one of a hundred times its length',
    modes: ['json'],
    run: redactWorstText,
  }),
];

async function inspectLog({ url, log }: FaultEnvironment): Promise<Finding> {
  const caller = createBatchClient(url, '198.51.100.11');
  const { id } = await caller.submit(itemLines(1, () => 'dev/instant Hi'));
  await caller.ended(id);
  const requestId = crypto.randomUUID();
  const response = await fetch(`${url}/api/chat`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', 'x-request-id': requestId },
    body: JSON.stringify({ message: 'Hi', [FIELD]: 1, [PHONE_NUMBER]: 1 }),
  });
  for (let probe = 0; probe < PROBES; probe += 1) await (await fetch(`${url}/ready`)).text();
  await waitUntil(
    () => [requestId, id].every((text) => log.some((line) => line.includes(text))),
    LOGGED_WITHIN_MS,
  );
  const has = (text: string): boolean => log.some((line) => line.includes(text));
  return {
    happened: `${response.status}; ${log.length} lines`,
    calls: 1,
    received: [],
    problems: [
      ...(has(requestId) ? [] : ['the request is not in the log']),
      ...(has(id) ? [] : ['no line has the id of the batch']),
      ...(has(FIELD) ? ['the name of an unknown field is in the log'] : []),
      ...(has(PHONE_NUMBER) ? ['a phone number is in the log'] : []),
      ...(has('"route":"ready"') ? ['the probes are in the log'] : []),
    ],
  };
}

async function redactWorstText(): Promise<Finding> {
  const redact = createRedactor({ secrets: () => [] });
  redact(PLAIN_TEXT);
  const cpuMsOf = (text: string): number => {
    const before = process.threadCpuUsage();
    redact(text);
    const { user, system } = process.threadCpuUsage(before);
    return (user + system) / 1_000;
  };
  const [worstMs, plainMs] = [cpuMsOf(WORST_TEXT), cpuMsOf(PLAIN_TEXT)];
  return {
    happened: `${worstMs.toFixed(1)} ms beside ${plainMs.toFixed(1)} ms`,
    calls: 0,
    received: [],
    problems: worstMs < plainMs ? [] : ['the redaction of a field takes too long'],
  };
}
