import type { LogFields } from './telemetry.ts';

/** What one guardrail decided. */
interface AuditedDecision {
  readonly guardrail: string;
  readonly stage: string;
  readonly outcome: string;
}

interface AuditedUsage {
  readonly inputTokens: number;
  readonly outputTokens: number;
}

interface AuditedResult {
  readonly model: string;
  readonly cached: boolean;
  readonly usage: AuditedUsage;
  readonly toolCalls: readonly { readonly name: string; readonly status: string }[];
}

interface AuditEnd {
  /** What was done: the method and the template of a route, or the kind of background work. */
  readonly action: string;
  /** `ok` or an error code. */
  readonly outcome: string;
  readonly durationMs: number;
  /** Ids and statuses; never text of a client or a model. */
  readonly fields?: LogFields;
}

/** Collects what the audit log says about one request, batch item or background run. */
export interface AuditTrail {
  /** The request needs an identified caller, so it gets a line. */
  require(): void;
  isRequired(): boolean;
  /** The pseudonym of the caller: a hash. */
  identify(callerId: string): void;
  addDecision(decision: AuditedDecision): void;
  addUsage(usage: AuditedUsage): void;
  addResult(result: AuditedResult): void;
  /** Since the trail was created. */
  elapsedMs(): number;
  /** Writes the line, once. */
  write(audit: (fields: LogFields) => void, end: AuditEnd): void;
}

/** As in the lines of the rate limiter: enough to tell callers apart. */
const CALLER_CHARS = 12;
/** What stands for a caller that is not known. */
const UNKNOWN_CALLER = 'none';
/** A run has at most 1,000 tool calls; a line says how many more there were. */
const MAX_LISTED = 40;

export function createAuditTrail(owner?: string | null): AuditTrail {
  let caller = owner?.slice(0, CALLER_CHARS);
  let result: AuditedResult | undefined;
  const startedAt = performance.now();
  let isRequired = false;
  let isWritten = false;
  const decisions: string[] = [];
  const used = { inputTokens: 0, outputTokens: 0 };
  return {
    identify(callerId) {
      caller = callerId.slice(0, CALLER_CHARS);
    },
    require() {
      isRequired = true;
    },
    isRequired: () => isRequired,
    addDecision({ guardrail, stage, outcome }) {
      decisions.push(`${guardrail}.${stage}=${outcome}`);
    },
    addUsage({ inputTokens, outputTokens }) {
      used.inputTokens += inputTokens;
      used.outputTokens += outputTokens;
    },
    addResult(of) {
      result = of;
    },
    elapsedMs: () => performance.now() - startedAt,
    write(audit, { action, outcome, durationMs, fields }) {
      if (isWritten) return;
      isWritten = true;
      const tools = result?.toolCalls.map(({ name, status }) => `${name}=${status}`) ?? [];
      const { inputTokens, outputTokens } = result?.cached === true ? NOTHING_USED : used;
      audit({
        caller: caller ?? UNKNOWN_CALLER,
        action,
        outcome,
        durationMs,
        ...fields,
        ...(result === undefined ? {} : { model: result.model, cached: result.cached }),
        inputTokens,
        outputTokens,
        tools: listed(tools),
        decisions: listed(decisions),
      });
    },
  };
}

const NOTHING_USED: AuditedUsage = { inputTokens: 0, outputTokens: 0 };

function listed(items: readonly string[]): string {
  const more = items.length > MAX_LISTED ? [`+${items.length - MAX_LISTED}`] : [];
  return [...items.slice(0, MAX_LISTED), ...more].join(' ');
}
