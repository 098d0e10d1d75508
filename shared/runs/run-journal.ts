import { ServiceError } from '../errors.ts';
import { createGroupCommit } from '../storage/group-commit.ts';
import {
  applyLine,
  EMPTY_JOURNAL,
  type JournalLine,
  type JournalView,
  type RecordedAgentEvent,
  type RunEvent,
  type RunRef,
} from './run-record.ts';
import type { RunStore } from './run-store.ts';

/** The exclusive right to write the journal of a run, until it is released or lost. */
export interface RunJournal {
  /** What the journal contained when it was opened. */
  readonly view: JournalView;
  /** Aborts when the lease is lost: another delivery may write now, and this one cannot. */
  readonly lostSignal: AbortSignal;
  /** Resolves when the line is durable. */
  append(line: JournalLine): Promise<void>;
  release(): Promise<void>;
}

/** Acquires the journal of a run and reads it. `busy`: another delivery has it. */
export async function openRunJournal(ref: RunRef, store: RunStore): Promise<RunJournal | 'busy'> {
  const lease = await store.acquireJournal(ref);
  if (lease === 'busy') return 'busy';
  try {
    const found = await store.lines(ref, { start: 0, end: lease.bytes });
    const writer = createGroupCommit({
      async write(lines, position) {
        if ((await lease.append(lines, position)) === 'full') throw journalFull();
      },
      position: lease.bytes,
    });
    if (found.end < lease.bytes) await writer.add('\n');
    return {
      view: found.lines.reduce(applyLine, EMPTY_JOURNAL),
      lostSignal: lease.lostSignal,
      append: (line) => writer.add(store.encodeLine(ref, line)),
      release: () => lease.release(),
    };
  } catch (error) {
    await lease.release();
    throw error;
  }
}

function journalFull(): ServiceError {
  return new ServiceError('internal', 'The run has more events than its journal takes');
}

export interface RecorderOptions {
  readonly journal: RunJournal;
  /** Text is written as it arrives; otherwise with the checkpoint after its step. */
  readonly isStreamed: boolean;
  readonly flushMs: number;
}

/** Writes the events of a run to its journal. */
export interface RunRecorder {
  add(event: RecordedAgentEvent): void;
  /** Resolves when the checkpoint and all events before it are durable. */
  checkpoint(checkpoint: unknown): Promise<void>;
  /** Whether text of the step is in the journal, so that clients may have read it. */
  isTextShown(): boolean;
  /** Rejects when a write failed. */
  readonly failed: Promise<never>;
  /** Writes what was not written yet. */
  flush(): Promise<void>;
  /** Drops what was not written yet. */
  close(): void;
}

/** Text of a step that was interrupted is sent again only where it differs. */
export function createRunRecorder({ journal, ...options }: RecorderOptions): RunRecorder {
  const { events, eventsBefore } = journal.view;
  const interrupted = events.slice(eventsBefore);
  const knownTools = new Set(interrupted.flatMap((event) => toolKey(event) ?? []));
  const repeat = createTextRepeat(textOf(interrupted));
  const failure = Promise.withResolvers<never>();
  failure.promise.catch(() => undefined);
  let isTextShown = interrupted.some(({ type }) => type === 'text-delta');
  let pending: RunEvent[] = [];
  let timer: NodeJS.Timeout | undefined;

  async function flush(): Promise<void> {
    clearTimeout(timer);
    timer = undefined;
    if (pending.length === 0) return;
    const events = pending;
    pending = [];
    isTextShown ||= events.some(({ type }) => type === 'text-delta');
    await journal.append({ type: 'events', events });
  }
  function push(event: RunEvent): void {
    const last = pending.at(-1);
    const isMerged =
      event.type === 'text-delta' &&
      last?.type === 'text-delta' &&
      event.isRefusal === last.isRefusal;
    if (isMerged) pending[pending.length - 1] = { ...last, text: last.text + event.text };
    else pending.push(event);
    if (options.isStreamed)
      timer ??= setTimeout(() => void flush().catch(failure.reject), options.flushMs);
  }
  return {
    add(event) {
      const key = toolKey(event);
      if (key !== undefined && knownTools.has(key)) return;
      const passed = event.type === 'text-delta' ? repeat.pass(event) : [event];
      for (const one of passed) push(one);
    },
    checkpoint(checkpoint) {
      clearTimeout(timer);
      timer = undefined;
      const written = [...repeat.end(), ...pending];
      pending = [];
      isTextShown = false;
      knownTools.clear();
      return journal.append({ type: 'checkpoint', events: written, checkpoint });
    },
    isTextShown: () => isTextShown,
    failed: failure.promise,
    flush,
    close: () => clearTimeout(timer),
  };
}

function toolKey(event: RunEvent | RecordedAgentEvent): string | undefined {
  return 'id' in event ? `${event.type} ${event.id}` : undefined;
}

function textOf(events: readonly RunEvent[]): string {
  const from = events.findLastIndex(({ type }) => type === 'restart') + 1;
  return events
    .slice(from)
    .map((event) => (event.type === 'text-delta' ? event.text : ''))
    .join('');
}

type TextDelta = Extract<RunEvent, { type: 'text-delta' }>;

interface TextRepeat {
  pass(delta: TextDelta): readonly RunEvent[];
  end(): readonly RunEvent[];
}

/**
 * A step that is repeated begins like before, or it does not. What clients have read is not sent
 * again; where the new text differs, it starts anew after a `restart`.
 */
function createTextRepeat(shown: string): TextRepeat {
  let isRepeating = shown !== '';
  let repeated = '';
  return {
    pass(delta) {
      if (!isRepeating) return [delta];
      repeated += delta.text;
      if (delta.isRefusal !== true && shown.startsWith(repeated)) return [];
      isRepeating = false;
      const isSame = delta.isRefusal !== true && repeated.startsWith(shown);
      if (isSame) return [{ ...delta, text: repeated.slice(shown.length) }];
      return [{ type: 'restart' }, { ...delta, text: repeated }];
    },
    end() {
      if (!isRepeating) return [];
      isRepeating = false;
      if (repeated === shown) return [];
      return [{ type: 'restart' }, ...(repeated === '' ? [] : [toDelta(repeated)])];
    },
  };
}

function toDelta(text: string): TextDelta {
  return { type: 'text-delta', text };
}
