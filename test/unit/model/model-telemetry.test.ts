import { describe, expect, it } from 'vitest';
import { timedOutResponse } from '../../../shared/model/upstream-error.ts';
import type { ModelResponse } from '../../../shared/model/model.ts';
import type {
  EndpointCall,
  EndpointClient,
} from '../../../shared/model/openai/chat-completions-client.ts';
import { tracedEndpointClient } from '../../../shared/model/model-telemetry.ts';
import { createMeteredTelemetry } from '../../support/metered-telemetry.ts';

const ENDPOINT = {
  name: 'primary',
  kind: 'azure',
  baseUrl: 'https://x.example/openai/v1',
  model: 'gpt-test',
  apiKey: async () => 'key',
} as const;
const ANSWER: ModelResponse = {
  text: 'ab',
  toolCalls: [],
  finishReason: 'stop',
  usage: { inputTokens: 1_000, outputTokens: 500, totalTokens: 1_500 },
  model: 'gpt-test-2030',
};
const REQUEST = { messages: [] };
const PARENT = '00-11112222333344445555666677778888-1234123412341234-01';
const DURATION = 'gen_ai_client_operation_duration_seconds_count';

function setUp(client: Partial<EndpointClient>, prices = {}) {
  const metered = createMeteredTelemetry();
  const controller = new AbortController();
  const call: EndpointCall = { signal: controller.signal, traceparent: PARENT };
  const whole: EndpointClient = {
    complete: async () => ANSWER,
    async *stream() {
      yield { type: 'text-delta', text: 'a' };
      yield { type: 'text-delta', text: 'b' };
      yield { type: 'done', response: ANSWER };
    },
    ...client,
  };
  const { telemetry } = metered;
  const traced = tracedEndpointClient(whole, { endpoint: ENDPOINT, telemetry, prices });
  return { ...metered, controller, call, traced };
}

describe('tracedEndpointClient', () => {
  it('measures the tokens and the cost of a whole answer', async () => {
    const { traced, call, value } = setUp({}, { inputPerMillion: 2, outputPerMillion: 8 });

    await traced.complete(REQUEST, call);

    const tokens = ['input', 'output'].map((type) =>
      value('gen_ai_client_token_usage_sum', { gen_ai_token_type: type }),
    );
    expect(tokens).toEqual([1_000, 500]);
    expect(value('agent_model_cost_total')).toBeCloseTo(0.006);
  });

  it('F8: prices cached input tokens by their own price, else as other input', async () => {
    const usage = { ...ANSWER.usage, cachedInputTokens: 400 };
    const client = { complete: async () => ({ ...ANSWER, usage }) };
    const priced = { inputPerMillion: 2, outputPerMillion: 8 };
    const own = setUp(client, { ...priced, cachedInputPerMillion: 0.5 });
    const same = setUp(client, priced);

    for (const { traced, call } of [own, same]) await traced.complete(REQUEST, call);

    expect(own.value('agent_model_cost_total')).toBeCloseTo((600 * 2 + 400 * 0.5 + 500 * 8) / 1e6);
    expect(same.value('agent_model_cost_total')).toBeCloseTo(0.006);
    expect(own.spans[0]?.attributes).toMatchObject({
      'gen_ai.usage.input_tokens': 1_000,
      'gen_ai.usage.cache_read.input_tokens': 400,
    });
  });

  it('records no cost without prices', async () => {
    const { traced, call, value } = setUp({});

    await traced.complete(REQUEST, call);

    expect(value('agent_model_cost_total')).toBe(0);
    expect(value(DURATION)).toBe(1);
  });

  it('sends its span in the trace context', async () => {
    let sent: string | undefined;
    const { traced, call, spans } = setUp({
      async complete(_request, { traceparent }) {
        sent = traceparent;
        return ANSWER;
      },
    });

    await traced.complete(REQUEST, call);

    expect(spans).toEqual([
      expect.objectContaining({ name: 'chat gpt-test', kind: 'client', parent: PARENT, ended: 1 }),
    ]);
    expect(sent).toBe(spans[0]?.traceparent);
  });

  it('ends with the code of the error', async () => {
    const { traced, call, spans, value } = setUp({
      complete: () => Promise.reject(timedOutResponse('too late')),
    });

    await expect(traced.complete(REQUEST, call)).rejects.toThrow('in time');

    expect(spans[0]).toMatchObject({ code: 'upstream_timeout', ended: 1 });
    expect(value(DURATION, { error_type: 'upstream_timeout' })).toBe(1);
  });

  it('measures the time to the first chunk and between chunks', async () => {
    const { traced, call, value } = setUp({});

    for await (const event of traced.stream(REQUEST, call)) expect(event).toBeDefined();

    const prefix = 'gen_ai_client_operation_time';
    expect(value(`${prefix}_to_first_chunk_seconds_count`)).toBe(1);
    expect(value(`${prefix}_per_output_chunk_seconds_count`)).toBe(1);
    expect(value(DURATION)).toBe(1);
  });

  it('ends a stream when its reader stops, and an unread one when its signal aborts', async () => {
    const { traced, call, controller, spans } = setUp({});

    for await (const event of traced.stream(REQUEST, call)) {
      expect(event.type).toBe('text-delta');
      break;
    }
    await traced.stream(REQUEST, call).next();
    controller.abort();

    expect(spans.map(({ code, ended }) => ({ code, ended }))).toEqual([
      { code: 'aborted', ended: 1 },
      { code: 'aborted', ended: 1 },
    ]);
  });
});
