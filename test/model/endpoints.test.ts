import { afterEach, describe, expect, it } from 'vitest';
import {
  createModelUnderTest,
  DEPLOYMENT,
  failureOf,
  SECRET,
} from '../support/model-under-test.ts';
import {
  answer,
  inTurn,
  refuse,
  reset,
  say,
  startScriptedUpstream,
  type Script,
} from '../support/scripted-upstream.ts';

const TRACEPARENT = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';

describe('the requests to an endpoint', () => {
  it.each([
    ['openai', undefined, { authorization: `Bearer ${SECRET}`, 'api-key': undefined }],
    ['azure', undefined, { authorization: `Bearer ${SECRET}`, 'api-key': undefined }],
    ['azure', 'token', { authorization: `Bearer ${SECRET}`, 'api-key': undefined }],
    ['azure', 'key', { authorization: undefined, 'api-key': SECRET }],
  ] as const)('for %s with %s have the credential in the right header', async (...row) => {
    const [kind, credential, headers] = row;
    await using upstream = await startScriptedUpstream(say('hello'));
    const { complete } = createModelUnderTest({
      endpoints: [{ baseUrl: upstream.baseUrl, kind, credential }],
    });

    await complete({ traceparent: TRACEPARENT });

    const [request] = upstream.requests;
    expect(request?.path).toBe('/v1/chat/completions');
    expect(request?.headers['authorization']).toBe(headers.authorization);
    expect(request?.headers['api-key']).toBe(headers['api-key']);
    expect(request?.headers['traceparent']).toBe(TRACEPARENT);
    expect(request?.body).toEqual({
      model: DEPLOYMENT,
      messages: [{ role: 'user', content: 'Hello' }],
    });
  });

  describe('with a foreign environment', () => {
    const NAMES = ['OPENAI_CUSTOM_HEADERS', 'OPENAI_BASE_URL', 'OPENAI_ORG_ID', 'OPENAI_LOG'];

    afterEach(() => {
      for (const name of NAMES) delete process.env[name];
    });

    it('have no headers from the environment, the platform or the client', async () => {
      process.env['OPENAI_CUSTOM_HEADERS'] = 'x-canary: canary';
      process.env['OPENAI_BASE_URL'] = 'http://canary.invalid/v1';
      process.env['OPENAI_ORG_ID'] = 'canary';
      process.env['OPENAI_LOG'] = 'debug';
      await using upstream = await startScriptedUpstream(say('hello'));
      const { complete } = createModelUnderTest({ endpoints: [upstream.baseUrl] });

      await complete();

      const headers = upstream.requests[0]?.headers ?? {};
      expect(JSON.stringify(headers)).not.toContain('canary.');
      expect(Object.keys(headers).filter((name) => /canary|stainless|openai/.test(name))).toEqual(
        [],
      );
    });
  });

  it('use a new credential for each attempt', async () => {
    const keys = ['first', 'second'];
    await using upstream = await startScriptedUpstream(inTurn(refuse(500), say('hello')));
    const { complete } = createModelUnderTest({
      endpoints: [{ baseUrl: upstream.baseUrl, apiKey: async () => keys.shift() ?? 'none' }],
    });

    await complete();

    expect(upstream.requests.map(({ headers }) => headers['authorization'])).toEqual([
      'Bearer first',
      'Bearer second',
    ]);
  });

  it('are not sent without a credential', async () => {
    await using upstream = await startScriptedUpstream(say('hello'));
    await using other = await startScriptedUpstream(say('from the fallback'));
    const broken = {
      baseUrl: upstream.baseUrl,
      apiKey: () => Promise.reject(new Error('canary vault address')),
    };

    const alone = await failureOf(createModelUnderTest({ endpoints: [broken] }).complete());
    const helped = await createModelUnderTest({ endpoints: [broken, other.baseUrl] }).complete();

    expect(alone.code).toBe('config_unavailable');
    expect(alone.message).not.toContain('canary');
    expect(helped.text).toBe('from the fallback');
    expect(upstream.requests).toHaveLength(0);
  });
});

describe('the name of the token limit', () => {
  function knowsOnly(name: string): Script {
    return (turn) => {
      const wrong = ['max_tokens', 'max_completion_tokens'].find(
        (other) => other !== name && other in turn.request.body,
      );
      return wrong === undefined
        ? say('hello')(turn)
        : refuse(400, { code: 'unsupported_parameter', param: wrong })(turn);
    };
  }

  it.each([
    ['openai', 'max_completion_tokens'],
    ['azure', 'max_tokens'],
  ] as const)('of %s is learned with one extra call, once', async (kind, name) => {
    await using upstream = await startScriptedUpstream(knowsOnly(name));
    const { model, call } = createModelUnderTest({
      endpoints: [{ baseUrl: upstream.baseUrl, kind }],
      settings: { maxAttempts: 1 },
    });
    const request = { messages: [], maxOutputTokens: 50 };

    for (let i = 0; i < 3; i += 1) await model.complete(request, call());

    expect(upstream.requests).toHaveLength(4);
    expect(upstream.requests.at(-1)?.body).toMatchObject({ [name]: 50 });
  });

  it('is not tried again and again where neither name is accepted', async () => {
    await using upstream = await startScriptedUpstream((turn) => {
      const param = 'max_tokens' in turn.request.body ? 'max_tokens' : 'max_completion_tokens';
      return refuse(400, { code: 'unsupported_parameter', param })(turn);
    });
    const { model, call } = createModelUnderTest({ endpoints: [upstream.baseUrl] });

    const failure = await failureOf(model.complete({ messages: [], maxOutputTokens: 50 }, call()));

    expect(failure.code).toBe('upstream_misconfigured');
    expect(upstream.requests).toHaveLength(2);
  });
});

describe('U20 refused credentials', () => {
  it.each([401, 403])(
    'after %i secrets are re-read once and the call is repeated',
    async (status) => {
      let key = 'old';
      let reads = 0;
      await using upstream = await startScriptedUpstream((turn) =>
        turn.request.headers.authorization === 'Bearer new'
          ? say('hello')(turn)
          : refuse(status)(turn),
      );
      const { complete } = createModelUnderTest({
        endpoints: [{ baseUrl: upstream.baseUrl, apiKey: async () => key }],
        settings: { maxAttempts: 1 },
        onAuthFailure: async () => {
          reads += 1;
          key = 'new';
          return true;
        },
      });

      expect((await complete()).text).toBe('hello');
      expect(upstream.requests).toHaveLength(2);
      expect(reads).toBe(1);
    },
  );

  it('fail no request while a key is rotated under load', async () => {
    let key = 'old';
    let refresh: Promise<boolean> | undefined;
    await using upstream = await startScriptedUpstream((turn) =>
      turn.request.headers.authorization === 'Bearer new' ? say('hello')(turn) : refuse(401)(turn),
    );
    const { complete } = createModelUnderTest({
      endpoints: [{ baseUrl: upstream.baseUrl, apiKey: async () => key }],
      onAuthFailure: () =>
        (refresh ??= new Promise((resolve) => {
          setTimeout(() => {
            key = 'new';
            resolve(true);
          }, 50);
        })),
    });

    const answers = await Promise.all(Array.from({ length: 100 }, () => complete()));

    expect(answers.every(({ text }) => text === 'hello')).toBe(true);
    expect(upstream.requests).toHaveLength(200);
  });

  it.each([
    ['secrets have not changed', async () => false, 1],
    ['secrets cannot be re-read', () => Promise.reject(new Error('canary')), 1],
    ['new secrets are refused as well', async () => true, 2],
  ])('are reported as our own error when %s', async (_name, onAuthFailure, calls) => {
    await using upstream = await startScriptedUpstream(refuse(401));
    const { complete, model, lines } = createModelUnderTest({
      endpoints: [upstream.baseUrl],
      onAuthFailure,
    });

    const failure = await failureOf(complete());

    expect(failure.code).toBe('upstream_auth');
    expect(upstream.requests).toHaveLength(calls);
    expect(model.endpoints()[0]?.lastFailureCode).toBe('upstream_auth');
    expect(lines.filter(({ level }) => level === 'error').length).toBeGreaterThan(0);
    expect(JSON.stringify(lines)).not.toContain('canary');
  });
});

describe('U21 an endpoint that is not what was configured', () => {
  it.each([
    [404, { code: 'DeploymentNotFound' }],
    [400, { code: 'invalid_value' }],
    [405, {}],
    [422, {}],
  ])('%i %j is reported after one call, to operators as well', async (status, error) => {
    await using upstream = await startScriptedUpstream(refuse(status, error));
    const { complete, lines } = createModelUnderTest({ endpoints: [upstream.baseUrl] });

    const failure = await failureOf(complete());

    expect(failure.code).toBe('upstream_misconfigured');
    expect(upstream.requests).toHaveLength(1);
    expect(lines.filter(({ level }) => level === 'error')).toHaveLength(1);
  });
});

describe('U23 a redirect', () => {
  it.each([301, 302, 303, 307, 308])('%i is not followed with the key', async (status) => {
    await using target = await startScriptedUpstream(say('stolen'));
    await using upstream = await startScriptedUpstream(
      answer(status, '', { location: `${target.baseUrl}/chat/completions` }),
    );
    const { complete, stream } = createModelUnderTest({ endpoints: [upstream.baseUrl] });

    const failure = await failureOf(complete());
    const { error } = await stream();

    expect(failure.code).toBe('upstream_misconfigured');
    expect(error).toMatchObject({ code: 'upstream_misconfigured' });
    expect(target.requests).toHaveLength(0);
    expect(target.connections()).toBe(0);
  });
});

describe('failures of every kind', () => {
  const SCRIPTS: readonly (readonly [string, Script])[] = [
    ['a reset', reset],
    ['HTML', answer(500, '<html>upstream-canary</html>')],
    ...[302, 400, 401, 404, 408, 422, 429, 500, 503].map(
      (status) => [String(status), refuse(status, { code: 'x' })] as const,
    ),
  ];

  it.each(SCRIPTS)(
    'carry no key, address, deployment or upstream text: %s',
    async (_name, script) => {
      await using upstream = await startScriptedUpstream(script);
      const { complete, lines } = createModelUnderTest({ endpoints: [upstream.baseUrl] });

      const failure = await failureOf(complete());

      const told: string[] = [JSON.stringify(lines)];
      for (let error: unknown = failure; error instanceof Error; error = error.cause) {
        told.push(error.message, error.stack ?? '', JSON.stringify(error));
      }
      const secrets = [SECRET, DEPLOYMENT, new URL(upstream.baseUrl).host, 'canary upstream text'];
      expect(secrets.filter((secret) => told.join('\n').includes(secret))).toEqual([]);
      expect(told.join('\n')).not.toContain('upstream-canary');
    },
  );
});
