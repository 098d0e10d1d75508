import { describe, expect, it } from 'vitest';
import { createAuditTrail } from '../../../shared/telemetry/audit.ts';
import type { LogFields } from '../../../shared/telemetry/telemetry.ts';

const END = { action: 'POST /api/chat', outcome: 'ok', durationMs: 5 };
const RESULT = {
  model: 'm',
  cached: false,
  usage: { inputTokens: 3, outputTokens: 2 },
  toolCalls: [
    { name: 'calculator', status: 'ok' },
    { name: 'http_fetch', status: 'failed' },
  ],
};

function collect() {
  const lines: LogFields[] = [];
  return { lines, audit: (fields: LogFields) => void lines.push(fields) };
}

describe('createAuditTrail', () => {
  it('says who did what, with which tools, tokens and decisions', () => {
    const { lines, audit } = collect();
    const trail = createAuditTrail();

    trail.identify('0123456789abcdef');
    trail.addDecision({ guardrail: 'canary', stage: 'output', outcome: 'passed' });
    trail.addUsage({ inputTokens: 1, outputTokens: 1 });
    trail.addUsage({ inputTokens: 2, outputTokens: 1 });
    trail.addResult(RESULT);
    trail.write(audit, { ...END, fields: { requestId: 'r' } });

    expect(lines).toEqual([
      {
        caller: '0123456789ab',
        action: 'POST /api/chat',
        outcome: 'ok',
        durationMs: 5,
        requestId: 'r',
        model: 'm',
        cached: false,
        inputTokens: 3,
        outputTokens: 2,
        tools: 'calculator=ok http_fetch=failed',
        decisions: 'canary.output=passed',
      },
    ]);
  });

  it('is written once', () => {
    const { lines, audit } = collect();
    const trail = createAuditTrail('owner');

    trail.write(audit, END);
    trail.write(audit, { ...END, outcome: 'internal' });

    expect(lines).toMatchObject([{ caller: 'owner', outcome: 'ok' }]);
  });

  it('counts no tokens for an answer of the cache, and names no unknown caller', () => {
    const { lines, audit } = collect();
    const trail = createAuditTrail(null);

    trail.addUsage({ inputTokens: 3, outputTokens: 2 });
    trail.addResult({ ...RESULT, cached: true });
    trail.write(audit, END);

    expect(lines).toMatchObject([
      { caller: 'none', cached: true, inputTokens: 0, outputTokens: 0 },
    ]);
  });

  it('lists at most forty tool calls', () => {
    const { lines, audit } = collect();
    const trail = createAuditTrail();

    const toolCalls = Array.from({ length: 45 }, () => ({ name: 't', status: 'ok' }));
    trail.addResult({ ...RESULT, toolCalls });
    trail.write(audit, END);

    expect(String(lines[0]?.['tools'])).toMatch(/^(?:t=ok ){40}\+5$/);
  });
});
