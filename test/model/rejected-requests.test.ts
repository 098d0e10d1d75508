import { describe, expect, it } from 'vitest';
import { createModelUnderTest, QUESTION } from '../support/model-under-test.ts';
import { startScriptedUpstream } from '../support/scripted-upstream.ts';

const REQUEST = {
  ...QUESTION,
  seed: 7,
  callerFields: { parameters: { seed: 'seed' }, messages: ['messages'], tools: [] },
};

/** What servers of the field answer to a parameter that they do not have. */
const BODIES = {
  OpenAI: {
    status: 400,
    body: {
      error: { message: 'Unsupported parameter', param: 'seed', code: 'unsupported_parameter' },
    },
  },
  Azure: {
    status: 400,
    body: {
      error: { message: 'Unrecognized request argument supplied: seed', param: null, code: null },
    },
  },
  'a bare error': {
    status: 400,
    body: {
      object: 'error',
      message: "Unknown parameter: 'seed'",
      type: 'BadRequestError',
      code: 400,
    },
  },
  FastAPI: {
    status: 422,
    body: {
      detail: [{ type: 'extra_forbidden', loc: ['body', 'seed'], msg: 'Extra inputs', input: 7 }],
    },
  },
};

describe('a parameter of the caller that the endpoint rejects', () => {
  it.each(Object.keys(BODIES))('is named, in the format of %s', async (name) => {
    const { status, body } = BODIES[name as keyof typeof BODIES];
    await using upstream = await startScriptedUpstream(({ response }) => {
      response.writeHead(status, { 'content-type': 'application/json' });
      response.end(JSON.stringify(body));
    });
    const { model, call, count } = createModelUnderTest({ endpoints: [upstream.baseUrl] });

    const failure = await model.complete(REQUEST, call()).catch((error: unknown) => error);

    expect(failure).toMatchObject({ code: 'invalid_request', param: 'seed' });
    expect(upstream.requests).toHaveLength(1);
    expect(count('model endpoint misconfigured')).toBe(0);
  });

  it('is not blamed for an error that names nothing', async () => {
    await using upstream = await startScriptedUpstream(({ response }) => {
      response.writeHead(400, { 'content-type': 'application/json' }).end('{"oops": true}');
    });
    const { model, call, count } = createModelUnderTest({ endpoints: [upstream.baseUrl] });

    const failure = await model.complete(REQUEST, call()).catch((error: unknown) => error);

    expect(failure).toMatchObject({ code: 'upstream_misconfigured' });
    expect(count('model endpoint misconfigured')).toBe(1);
  });
});
