import { describe, expect, it } from 'vitest';
import { startRecording } from '../../../shared/http/answer-recording.ts';
import type { StoredAnswer } from '../../../shared/idempotency/idempotency-store.ts';
import { createRecordedTelemetry } from '../../support/recorded-telemetry.ts';

const MIB = 1_048_576;

/** Records a stream of so many chunks of 1 MiB; what its client read, and what was stored. */
async function recordMebibytes(count: number) {
  const stored: StoredAnswer[] = [];
  let releases = 0;
  const claim = {
    answered: undefined,
    start: async () => undefined,
    complete: async (answer: StoredAnswer) => void stored.push(answer),
    release: async () => void (releases += 1),
  };
  let left = count;
  const body = new ReadableStream<Uint8Array>({
    pull(controller) {
      if (left === 0) return controller.close();
      left -= 1;
      controller.enqueue(new Uint8Array(MIB).fill(0x61));
    },
  });
  const recording = startRecording(claim, createRecordedTelemetry());
  const response = await recording.record({ body }, new AbortController().signal);
  const { size } = await new Response(response.body as ReadableStream).blob();
  return { size, stored, releases };
}

describe('the recording of a streamed answer', () => {
  it('keeps its bytes', async () => {
    const { size, stored, releases } = await recordMebibytes(2);

    expect(size).toBe(2 * MIB);
    expect(stored.map(({ body }) => body.length)).toEqual([2 * MIB]);
    expect(releases).toBe(0);
  });

  it('keeps none of an answer above 16 MiB, which reaches its client all the same', async () => {
    const { size, stored, releases } = await recordMebibytes(17);

    expect(size).toBe(17 * MIB);
    expect(stored).toEqual([]);
    expect(releases).toBe(1);
  });
});
