import { type StepJournal, toOutcomeFields, toStepFields } from '../agent/step-journal.ts';
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
  /** Text is written as it arrives; otherwise with its step. */
  readonly isStreamed: boolean;
  readonly flushMs: number;
}

/** Writes the steps and the events of a run to its journal. */
export interface RunRecorder {
  /** The steps of earlier deliveries, and where those of this one go. */
  readonly steps: StepJournal;
  /** An event that the journal has already is left out. */
  add(event: RecordedAgentEvent): void;
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
  const { steps } = journal.view;
  const known = readKnown(journal.view);
  const repeat = createTextRepeat(known.text);
  const failure = Promise.withResolvers<never>();
  failure.promise.catch(() => undefined);
  let ended = 0;
  let isTextShown = known.text !== '';
  const pending = createPendingEvents();
  let timer: NodeJS.Timeout | undefined;

  function take(): readonly RunEvent[] {
    clearTimeout(timer);
    timer = undefined;
    return pending.take();
  }
  async function flush(): Promise<void> {
    const events = take();
    if (events.length === 0) return;
    isTextShown ||= events.some(({ type }) => type === 'text-delta');
    await journal.append({ type: 'events', events: [...events] });
  }
  function push(event: RunEvent): void {
    pending.add(event);
    // The end of a step is written with the step.
    if (event.type === 'step-end') clearTimeout(timer);
    else if (options.isStreamed)
      timer ??= setTimeout(() => void flush().catch(failure.reject), options.flushMs);
  }
  return {
    steps: {
      steps,
      addStep(step, recorded) {
        const events = [...repeat.end(), ...take()];
        isTextShown = false;
        return journal.append({ type: 'step', events, ...toStepFields(step, recorded) });
      },
      addOutcome(place, outcome) {
        const fields = toOutcomeFields(place, outcome);
        return journal.append({ type: 'tool', events: [...take()], ...fields });
      },
    },
    add(event) {
      const isRecorded = ended < steps.length;
      if (event.type === 'step-end') ended += 1;
      if ('id' in event) {
        if (!known.hasTool(event, ended)) push(event);
      } else if (!isRecorded) {
        const passed = event.type === 'text-delta' ? repeat.pass(event) : [event];
        for (const one of passed) push(one);
      }
    },
    isTextShown: () => isTextShown,
    failed: failure.promise,
    flush,
    close: () => clearTimeout(timer),
  };
}

/** Events that are not written yet. Texts that follow each other are one. */
function createPendingEvents() {
  let pending: RunEvent[] = [];
  return {
    add(event: RunEvent): void {
      const last = pending.at(-1);
      const isMerged =
        event.type === 'text-delta' &&
        last?.type === 'text-delta' &&
        event.isRefusal === last.isRefusal;
      if (isMerged) pending[pending.length - 1] = { ...last, text: last.text + event.text };
      else pending.push(event);
    },
    take(): readonly RunEvent[] {
      const taken = pending;
      pending = [];
      return taken;
    },
  };
}

type ToolEvent = Extract<RecordedAgentEvent, { id: string }>;

interface KnownEvents {
  /** Text of the step that was interrupted. */
  readonly text: string;
  /** Whether the journal has an event of a tool; each of them counts once. */
  hasTool(event: ToolEvent, stepsEnded: number): boolean;
}

/** What earlier deliveries wrote. A model may use the id of a call again in another step. */
function readKnown({ events, steps }: JournalView): KnownEvents {
  const tools: string[] = [];
  let ended = 0;
  let text = '';
  for (const event of events) {
    if (event.type === 'step-end') ended += 1;
    else if ('id' in event) tools.push(toolKey(event, ended));
    else if (ended < steps.length) continue;
    else if (event.type === 'restart') text = '';
    else text += event.text;
  }
  return {
    text,
    hasTool(event, stepsEnded) {
      const index = tools.indexOf(toolKey(event, stepsEnded));
      if (index >= 0) tools.splice(index, 1);
      return index >= 0;
    },
  };
}

function toolKey({ type, id }: ToolEvent, stepsEnded: number): string {
  return `${stepsEnded} ${type} ${id}`;
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
