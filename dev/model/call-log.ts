import { createFaultTurns, type FaultTurns } from './fault-turns.ts';

const KEPT_CALLS = 10_000;
const SMALL_BODY_CHARS = 4096;
const LARGE_BODY_CHARS = 262_144;
const LARGE_BODIES = 100;

/** One call as the model received it, recorded so that tests can count upstream calls. */
export interface RecordedCall {
  readonly id: number;
  readonly path: string;
  readonly model: string;
  readonly stream: boolean;
  readonly headers: Readonly<Record<string, string>>;
  /** Null if it was not JSON, or too large to store. */
  readonly body: unknown;
  readonly startedAt: number;
  /** `cut` is an end by the script, `aborted` an end by the caller. */
  status: 'running' | 'answered' | 'aborted' | 'cut';
  httpStatus?: number;
  tokensSent: number;
  endedAt?: number;
}

export interface NewCall {
  readonly path: string;
  readonly model: string;
  readonly stream: boolean;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: unknown;
  readonly bodyChars: number;
}

interface KeptCall {
  readonly call: { -readonly [Key in keyof RecordedCall]: RecordedCall[Key] };
  readonly bodyChars: number;
}

export interface CallStats {
  readonly calls: number;
  readonly running: number;
  readonly aborted: number;
  readonly byModel: Readonly<Record<string, number>>;
  readonly maxConcurrent: number;
  /** Requests that followed the scripted redirect; a correct client sends none. */
  readonly redirectHits: number;
}

export interface CallLog {
  begin(call: NewCall): RecordedCall;
  end(call: RecordedCall, status: 'answered' | 'aborted' | 'cut'): void;
  calls(): readonly RecordedCall[];
  /** The calls without large bodies and without keys, for GET /dev/calls. */
  publicCalls(): readonly RecordedCall[];
  stats(): CallStats;
  countRedirectHit(): void;
  readonly turns: FaultTurns;
  reset(): void;
}

/** Stores calls and fault turns within fixed bounds, however long the process runs. */
export function createCallLog(): CallLog {
  let kept: KeptCall[] = [];
  let lastId = 0;
  let totals = emptyTotals();
  const turns = createFaultTurns();
  return {
    turns,
    begin(newCall) {
      const { bodyChars, body, ...rest } = newCall;
      const call: RecordedCall = {
        ...rest,
        id: ++lastId,
        body: bodyChars <= LARGE_BODY_CHARS ? body : null,
        startedAt: Date.now(),
        status: 'running',
        tokensSent: 0,
      };
      kept.push({ call, bodyChars });
      const older = kept.at(-1 - LARGE_BODIES);
      if (older !== undefined && older.bodyChars > SMALL_BODY_CHARS) older.call.body = null;
      // Trimmed in slices: moving ten thousand entries for every call would cost more than the
      // call.
      if (kept.length > KEPT_CALLS * 1.1) kept = kept.slice(-KEPT_CALLS);
      totals.calls += 1;
      totals.running += 1;
      totals.maxConcurrent = Math.max(totals.maxConcurrent, totals.running);
      countModel(totals.byModel, call.model);
      return call;
    },
    end(call, status) {
      if (call.status !== 'running') return;
      call.status = status;
      call.endedAt = Date.now();
      // A call that began before a reset is not part of the new totals.
      if (call.id <= totals.forgottenId) return;
      totals.running -= 1;
      if (status === 'aborted') totals.aborted += 1;
    },
    calls: () => kept.slice(-KEPT_CALLS).map(({ call }) => call),
    publicCalls: () => kept.slice(-KEPT_CALLS).map(withoutSecrets),
    stats: () => publicStats(totals),
    countRedirectHit: () => void (totals.redirectHits += 1),
    reset() {
      kept = [];
      totals = { ...emptyTotals(), forgottenId: lastId };
      turns.clear();
    },
  };
}

function emptyTotals() {
  return {
    calls: 0,
    running: 0,
    aborted: 0,
    maxConcurrent: 0,
    redirectHits: 0,
    forgottenId: 0,
    byModel: new Map<string, number>(),
  };
}

function publicStats(totals: ReturnType<typeof emptyTotals>): CallStats {
  const { forgottenId: _forgottenId, byModel, ...counts } = totals;
  return { ...counts, byModel: Object.fromEntries(byModel) };
}

function countModel(byModel: Map<string, number>, model: string): void {
  // Names come from callers: beyond a thousand different ones they are counted together.
  const name = byModel.has(model) || byModel.size < 1000 ? model : '(other)';
  byModel.set(name, (byModel.get(name) ?? 0) + 1);
}

function withoutSecrets({ call, bodyChars }: KeptCall): RecordedCall {
  const headers = Object.entries(call.headers).map(([name, value]) => [
    name,
    name === 'authorization' || name === 'api-key' ? '[hidden]' : value,
  ]);
  const body = bodyChars > SMALL_BODY_CHARS ? null : call.body;
  return { ...call, headers: Object.fromEntries(headers), body };
}
