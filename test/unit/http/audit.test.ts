import { describe, expect, it } from 'vitest';
import { authenticatedHandler } from '../../../shared/http/admission.ts';
import { publicHandler } from '../../../shared/http/handler.ts';
import { jsonResponse } from '../../../shared/http/responses.ts';
import { ServiceError } from '../../../shared/errors.ts';
import { createToolAgent, toolNamed } from '../../support/agent/scripted-tools.ts';
import { createChat } from '../../support/chat-handler.ts';
import { guarded } from '../../support/guarded.ts';
import { call, get, postJson } from '../../support/http-call.ts';
import { bodyLimits, openAdmission } from '../../support/public-handler.ts';
import { createRecordedTelemetry } from '../../support/recorded-telemetry.ts';
import { answerOf, callsOf } from '../../support/scripted-model.ts';

const CARD = '4111 1111 1111 1111';

describe('the audit log of a request', () => {
  it.each([false, true])(
    'has one line with tools, tokens and decisions, and no text; stream: %s',
    async (stream) => {
      const { agent } = createToolAgent({
        responses: [callsOf(['look', { word: 'tool-canary' }]), answerOf('answer-canary')],
        tools: [toolNamed('look')],
      });
      const pii = { input: 'redact', output: 'redact' } as const;
      const { handler, telemetry } = createChat({
        agent: guarded(agent, { piiDetection: pii }).agent,
      });

      const body = { message: `prompt-canary ${CARD}`, stream };
      const response = await call(handler, postJson(body));

      expect(response.status).toBe(200);
      expect(telemetry.audits).toMatchObject([
        {
          caller: expect.stringMatching(/^[\w-]{12}$/),
          action: expect.stringContaining('POST '),
          outcome: 'ok',
          status: 200,
          requestId: response.headers['x-request-id'],
          inputTokens: 6,
          outputTokens: 4,
          tools: 'look=ok',
          decisions: 'pii_detection.input=redacted pii_detection.output=passed',
        },
      ]);
      expect(JSON.stringify(telemetry.audits)).not.toMatch(/canary|4111/);
    },
  );

  it('names the guardrail that blocked, and the outcome', async () => {
    const { agent } = createToolAgent({ responses: [] });
    const { handler, telemetry } = createChat({
      agent: guarded(agent, { piiDetection: { input: 'block' } }).agent,
    });

    await call(handler, postJson({ message: `Pay with ${CARD}` }));

    expect(telemetry.audits).toMatchObject([
      {
        outcome: 'guardrail_blocked',
        status: 422,
        inputTokens: 0,
        decisions: 'pii_detection.input=blocked',
      },
    ]);
  });

  it('has a line for every route of identified callers, also without valid credentials', async () => {
    const telemetry = createRecordedTelemetry();
    const unknown = (): never => {
      throw new ServiceError('unauthorized', 'Valid credentials are required');
    };
    const service = { ...openAdmission, telemetry, requestBody: bodyLimits(0) };
    const handle = async () => jsonResponse({});

    await call(
      authenticatedHandler(async () => service, handle),
      get('http://127.0.0.1/v1/batches'),
    );
    await call(
      authenticatedHandler(async () => ({ ...service, identify: unknown }), handle),
      get('http://127.0.0.1/v1/batches'),
    );
    await call(
      publicHandler(async () => service, handle),
      get('http://127.0.0.1/health'),
    );

    expect(telemetry.audits).toMatchObject([
      { outcome: 'ok', status: 200 },
      { caller: 'none', outcome: 'unauthorized', status: 401 },
    ]);
  });
});
