import { Readable } from 'node:stream';
import { describe, expect, it } from 'vitest';
import type { ModelEndpoint } from '../../../shared/model/model.ts';
import { readResponse } from '../../../shared/model/openai/read-response.ts';
import { readStream } from '../../../shared/model/openai/read-stream.ts';
import { UpstreamFailure } from '../../../shared/model/upstream-error.ts';

const RUNS = 10_000;
const endpoint: ModelEndpoint = {
  name: 'primary',
  kind: 'openai',
  baseUrl: 'http://127.0.0.1/v1',
  model: 'model-a',
  apiKey: async () => 'key',
};
const context = {
  endpoint,
  request: { messages: [{ role: 'user' as const, content: 'hi' }] },
  onMappedFinishReason: () => undefined,
};
const usage = { prompt_tokens: 3, completion_tokens: 2, total_tokens: 5 };
const call = { index: 0, id: 'call_1', function: { name: 'now', arguments: '{}' } };

const STREAM = [
  { choices: [] },
  { choices: [{ index: 0, delta: { content: 'Grüße' }, finish_reason: null }] },
  { choices: [{ index: 0, delta: { tool_calls: [call] }, finish_reason: null }] },
  { choices: [{ index: 0, delta: {}, finish_reason: 'stop' }] },
  { choices: [], usage },
]
  .map((chunk) => `data: ${JSON.stringify(chunk)}\n\n`)
  .concat('data: [DONE]\n\n')
  .join('');
const COMPLETION = JSON.stringify({
  model: 'model-a',
  choices: [{ finish_reason: 'stop', message: { content: 'Grüße', tool_calls: [call] } }],
  usage,
});

/** The same numbers in each run, so that a failure can be reproduced. */
function createRandom(seed: number): (limit: number) => number {
  let state = seed;
  return (limit) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * limit);
  };
}

/** Replaces, drops or repeats up to three ranges of bytes, or cuts the end off. */
function corrupt(text: string, random: (limit: number) => number): Uint8Array<ArrayBuffer> {
  const bytes = [...new TextEncoder().encode(text)];
  for (let i = random(3); i >= 0; i -= 1) {
    const at = random(bytes.length);
    const change = random(4);
    if (change === 0) bytes[at] = random(256);
    else if (change === 1) bytes.splice(at, 1 + random(40));
    else if (change === 2) bytes.splice(at, 0, ...bytes.slice(at, at + 1 + random(40)));
    else bytes.splice(at);
  }
  return Uint8Array.from(bytes);
}

async function readCorrupted(bytes: Uint8Array<ArrayBuffer>): Promise<string> {
  const options = { ...context, maxChars: 10_000, maxLineBytes: 10_000 };
  let last = 'nothing';
  try {
    for await (const event of readStream(Readable.from([bytes]), options)) last = event.type;
  } catch (thrown) {
    if (!(thrown instanceof UpstreamFailure)) throw thrown;
    return thrown.code;
  }
  return last;
}

describe('U15 and U16 corrupted responses', () => {
  it(`end with a response or an UpstreamFailure in ${RUNS} streams, never after text alone`, async () => {
    const random = createRandom(3);
    const endings = new Set<string>();

    for (let run = 0; run < RUNS; run += 1)
      endings.add(await readCorrupted(corrupt(STREAM, random)));

    expect([...endings].sort()).toEqual(['done', 'upstream_interrupted', 'upstream_invalid']);
  });

  it(`are a response or an UpstreamFailure in ${RUNS} bodies`, () => {
    const random = createRandom(5);
    const endings = new Set<string>();

    for (let run = 0; run < RUNS; run += 1) {
      try {
        endings.add(
          typeof readResponse(new TextDecoder().decode(corrupt(COMPLETION, random)), context).text,
        );
      } catch (thrown) {
        if (!(thrown instanceof UpstreamFailure)) throw thrown;
        endings.add(thrown.code);
      }
    }

    expect([...endings].sort()).toEqual(['string', 'upstream_invalid']);
  });
});
