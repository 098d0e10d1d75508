import { HttpRequest } from '@azure/functions';
import { describe, expect, it } from 'vitest';
import { publicHandler } from '../../../shared/http/handler.ts';
import { handleGetModel, handleListModels } from '../../../shared/http/operations-handler.ts';
import { createChat } from '../../support/chat-handler.ts';
import { call, get, postJson } from '../../support/http-call.ts';
import { bodyLimits } from '../../support/public-handler.ts';
import { createRecordedTelemetry } from '../../support/recorded-telemetry.ts';
import { answerOf } from '../../support/scripted-model.ts';

const service = {
  publicModel: 'assistant',
  telemetry: createRecordedTelemetry(),
  requestBody: bodyLimits(1_024),
};
const MODEL = { id: 'assistant', object: 'model', created: 0, owned_by: 'agent' };

function getModel(id: string): HttpRequest {
  return new HttpRequest({
    url: `http://127.0.0.1/v1/models/${id}`,
    method: 'GET',
    params: { id },
  });
}

describe('the models of the service (F21)', () => {
  it('are the agent alone', async () => {
    const handler = publicHandler(async () => service, handleListModels);

    const listed = await call(handler, get('http://127.0.0.1/v1/models'));

    expect(listed.json()).toEqual({ object: 'list', data: [MODEL] });
  });

  it('are found by their id, and an unknown id is 404 with the error body', async () => {
    const handler = publicHandler(async () => service, handleGetModel);

    const found = await call(handler, getModel('assistant'));
    const unknown = await call(handler, getModel('gpt-4o'));

    expect(found.json()).toEqual(MODEL);
    expect(unknown.status).toBe(404);
    expect(unknown.headers['x-should-retry']).toBe('false');
    expect(unknown.problem().error).toMatchObject({ code: 'not_found', param: 'model' });
  });

  it('have their public name in whole answers of chat completions', async () => {
    const answers = [async () => answerOf('Hello')];
    const { handler } = createChat({ answers }, 'openai.chat-completions');

    const answered = await call(handler, postJson({ messages: [{ role: 'user', content: 'Hi' }] }));

    expect(answered.json()).toMatchObject({ model: 'assistant' });
  });
});
