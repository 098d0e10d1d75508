import { createServer, type AddressInfo } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { eventually } from '../e2e/support/post-chat.ts';
import { startIngestion, type Envelope, type Ingestion } from '../support/ingestion.ts';
import {
  CALLERS_SPAN,
  TRACE_ID,
  startObservedService,
  type ObservedOptions,
  type ObservedService,
} from './observed-service.ts';

let ingestion: Ingestion | undefined;
let observed: ObservedService | undefined;
afterEach(async () => {
  await observed?.stop();
  await ingestion?.close();
  observed = undefined;
  ingestion = undefined;
});

async function start(options: Omit<ObservedOptions, 'ingestion'> = {}) {
  ingestion = await startIngestion();
  observed = await startObservedService({ ...options, ingestion });
  return { ingestion, observed };
}

function named(envelopes: readonly Envelope[], name: string): Envelope {
  const found = envelopes.find(({ data }) => data.baseData.name === name);
  if (found === undefined) throw new Error(`No ${name} among ${envelopes.length}`);
  return found;
}

function parentOf({ tags }: Envelope): string | undefined {
  return tags['ai.operation.parentId'];
}

describe('one chat, with Application Insights configured', () => {
  it('is a request, a turn, a call of the model and an HTTP call, one under the other', async () => {
    const { ingestion, observed } = await start();

    await observed.ask({ message: 'Hello' });
    await observed.close();

    const request = named(ingestion.of('RequestData'), 'POST /api/chat');
    const dependencies = ingestion.of('RemoteDependencyData');
    const turn = named(dependencies, 'invoke_agent agent');
    const call = named(dependencies, 'chat development-model');
    const http = named(dependencies, 'POST /v1/chat/completions');
    expect([request, turn, call, http].map(parentOf)).toEqual([
      CALLERS_SPAN,
      request.data.baseData.id,
      turn.data.baseData.id,
      call.data.baseData.id,
    ]);
    const operations = [request, turn, call, http].map(({ tags }) => tags['ai.operation.id']);
    expect(new Set(operations)).toEqual(new Set([TRACE_ID]));
    expect([request.data.baseData.responseCode, http.data.baseData.resultCode]).toEqual([
      '200',
      '200',
    ]);
    expect(http.data.baseData.properties).toMatchObject({
      'gen_ai.request.model': 'development-model',
    });
  });

  it('sends the trace on to the model once, under the span of the HTTP call', async () => {
    const { ingestion, observed } = await start();

    await observed.ask({ message: 'Hello' });
    await observed.close();

    const http = named(ingestion.of('RemoteDependencyData'), 'POST /v1/chat/completions');
    const [sent] = observed.model.calls();
    expect(sent?.headers['traceparent']).toBe(`00-${TRACE_ID}-${http.data.baseData.id}-01`);
  });

  it('says what the semantic conventions ask of a call to a model, streamed or not', async () => {
    const { ingestion, observed } = await start({
      agentToml:
        '[telemetry]\nprice_per_million_input_tokens = 2\nprice_per_million_output_tokens = 8\n',
    });

    await observed.ask({ message: 'Hello' });
    const streamed = await observed.ask({ message: 'Hello there', stream: true });
    await new Response(streamed.body as ReadableStream).text();
    await observed.close();

    const [first, second] = ingestion
      .of('RemoteDependencyData')
      .filter(({ data }) => data.baseData.name === 'chat development-model')
      .map(({ data }) => data.baseData.properties);
    expect(first).toMatchObject({
      'gen_ai.operation.name': 'chat',
      'gen_ai.provider.name': 'openai',
      'gen_ai.response.finish_reasons': '["stop"]',
      'gen_ai.usage.input_tokens': expect.stringMatching(/^\d+$/),
      'gen_ai.usage.output_tokens': expect.stringMatching(/^\d+$/),
    });
    expect(second).toHaveProperty(['gen_ai.response.time_to_first_chunk']);
    const metrics = ingestion.of('MetricData').flatMap(({ data }) => data.baseData.metrics ?? []);
    expect(metrics.map(({ name }) => name)).toEqual(
      expect.arrayContaining([
        'gen_ai.client.token.usage',
        'gen_ai.client.operation.duration',
        'gen_ai.client.operation.time_to_first_chunk',
        'gen_ai.client.operation.time_per_output_chunk',
        'agent.model.cost',
        'process.memory.utilization',
        'process.cpu.utilization',
      ]),
    );
  });

  it('ends the request of a stream with the stream, and says that it was one', async () => {
    const { ingestion, observed } = await start();

    const streamed = await observed.ask({ message: 'Hello', stream: true });
    await new Response(streamed.body as ReadableStream).text();
    await observed.close();

    const request = named(ingestion.of('RequestData'), 'POST /api/chat');
    expect(request.data.baseData.properties).toMatchObject({ 'agent.stream': 'true' });
  });

  it('puts log lines under the request, and prints them no second time', async () => {
    const { ingestion, observed } = await start();

    await observed.ask({ message: 'Hello' });
    await observed.close();

    const request = named(ingestion.of('RequestData'), 'POST /api/chat');
    const line = ingestion
      .of('MessageData')
      .find(({ data }) => data.baseData.message === 'request answered');
    expect(line?.tags['ai.operation.id']).toBe(TRACE_ID);
    expect(line && parentOf(line)).toBe(request.data.baseData.id);
    expect(observed.lines).toEqual([]);
  });

  it('prints log lines too if configured', async () => {
    const { observed } = await start({ agentToml: '[telemetry]\nconsole = "always"\n' });

    await observed.ask({ message: 'Hello' });
    await observed.close();

    expect(observed.lines.join('\n')).toContain('"message":"request answered"');
  });

  it('sends no prompt, no answer and no secret anywhere (H20)', async () => {
    const { ingestion, observed } = await start();

    const answered = await observed.ask({
      message: 'prompt canary jane@example.org 4111111111111111',
    });
    await observed.ask({ message: '' });
    await observed.close();

    const everything = JSON.stringify(ingestion.envelopes);
    expect(JSON.stringify(answered.body)).toContain('prompt canary');
    for (const canary of ['canary', 'jane@example.org', '4111111111111111', '192.0.2.7']) {
      expect(everything).not.toContain(canary);
    }
  });

  it('shows every failed attempt with its code, and no message of an error', async () => {
    const { ingestion, observed } = await start({ environment: { OPENAI_MODEL: 'dev/reset' } });

    const answered = await observed.ask({ message: 'Hello' });
    await observed.close();

    expect(answered.status).toBe(503);
    const attempts = ingestion
      .of('RemoteDependencyData')
      .map(({ data }) => data.baseData)
      .filter(({ name }) => name === 'chat dev/reset');
    expect(attempts.length).toBe(observed.model.calls().length);
    for (const attempt of attempts) {
      expect(attempt['success']).toBe(false);
      expect(attempt.properties).toMatchObject({ 'agent.error.code': 'upstream_unavailable' });
    }
    const request = named(ingestion.of('RequestData'), 'POST /api/chat');
    expect(request.data.baseData.responseCode).toBe('503');
    expect(ingestion.of('ExceptionData')).toEqual([]);
    expect(JSON.stringify(ingestion.envelopes)).not.toMatch(
      /fetch failed|socket hang up|other side closed|read ECONNRESET/i,
    );
  });

  it('sends no traces where none are to be sampled, and all metrics nevertheless', async () => {
    const { ingestion, observed } = await start({
      agentToml: '[telemetry]\nsampling_ratio = 0\n',
    });

    await observed.ask({ message: 'Hello' });
    await observed.close();

    expect(ingestion.of('RequestData')).toEqual([]);
    expect(ingestion.of('RemoteDependencyData')).toEqual([]);
    expect(ingestion.of('MetricData')).not.toEqual([]);
  });
});

describe('the Application Insights package', () => {
  it('exports no attribute of the machine', async () => {
    const { ingestion, observed } = await start();

    await observed.ask({ message: 'Hello' });
    await observed.close();

    const resource = ingestion
      .of('MetricData')
      .find(({ data }) => data.baseData.metrics?.[0]?.name === '_OTELRESOURCE_');
    expect(Object.keys(resource?.data.baseData.properties ?? {}).toSorted()).toEqual([
      'service.instance.id',
      'service.name',
      'service.version',
    ]);
    expect(JSON.stringify(ingestion.envelopes)).not.toMatch(/"(?:host|os|process)\.\w+":"/);
  });

  it('adds its standard metrics and performance counters', async () => {
    const { ingestion, observed } = await start();

    await observed.ask({ message: 'Hello' });
    await observed.close();

    const metrics = ingestion.of('MetricData').flatMap(({ data }) => data.baseData.metrics ?? []);
    expect(metrics.map(({ name }) => name)).toEqual(
      expect.arrayContaining([
        '\\Processor(_Total)\\% Processor Time',
        '\\Memory\\Available Bytes',
      ]),
    );
    const ids = ingestion
      .of('MetricData')
      .map(({ data }) => data.baseData.properties?.['_MS.MetricId']);
    expect(ids).toEqual(expect.arrayContaining(['requests/duration', 'dependencies/duration']));
  });

  it('installs no handler for uncaught errors, whose messages it would export', async () => {
    const before = process.listeners('uncaughtException').length;

    await start();

    expect(process.listeners('uncaughtException')).toHaveLength(before);
  });

  it.each([
    ['by default', '', 0],
    ['where the setting asks for it', '[telemetry]\nlive_metrics = true\n', 1],
  ])('streams live metrics %s: %j', async (_when, agentToml, connections) => {
    const live = createServer();
    let seen = 0;
    live.on('connection', (socket) => {
      seen += 1;
      socket.destroy();
    });
    await new Promise<void>((resolve) => live.listen(0, '127.0.0.1', resolve));
    const { port } = live.address() as AddressInfo;
    ingestion = await startIngestion();
    const connectionString = `${ingestion.connectionString};LiveEndpoint=https://127.0.0.1:${port}/`;
    observed = await startObservedService({
      ingestion: { ...ingestion, connectionString },
      agentToml,
    });

    if (connections > 0) await eventually('live metrics connect', () => seen >= connections);
    await observed.ask({ message: 'Hello' });
    await observed.close();
    live.close();

    expect(seen > 0).toBe(connections > 0);
  });
});

describe('without Application Insights', () => {
  it('prints lines, and sends the trace of the caller on as it came', async () => {
    observed = await startObservedService({});

    await observed.ask({ message: 'Hello' });

    expect(observed.lines.join('\n')).toContain('"message":"request answered"');
    const [sent] = observed.model.calls();
    expect(sent?.headers['traceparent']).toBe(`00-${TRACE_ID}-${CALLERS_SPAN}-01`);
  });

  it('goes on printing where the connection string is none, and never shows it', async () => {
    observed = await startObservedService({
      environment: { APPLICATIONINSIGHTS_CONNECTION_STRING: 'connection-canary' },
    });

    const answered = await observed.ask({ message: 'Hello' });

    expect(answered.status).toBe(200);
    const printed = observed.lines.join('\n');
    expect(printed).toContain('application insights not started');
    expect(printed).not.toContain('connection-canary');
  });
});
