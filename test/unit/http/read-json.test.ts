import { describe, expect, it } from 'vitest';
import { readJson } from '../../../shared/http/read-body.ts';
import { postRaw } from '../../support/http-call.ts';
import { bodyLimits } from '../../support/public-handler.ts';

function read(headers: Record<string, string>, body = '{"a":1}'): Promise<unknown> {
  const request = postRaw(body, headers);
  return readJson(
    { request, header: (name) => request.headers.get(name) ?? undefined },
    bodyLimits(1_024),
  );
}

describe('readJson', () => {
  it.each([
    'application/json',
    'Application/JSON',
    'application/json; charset=utf-8',
    'application/json;charset="UTF-8"',
    'application/json ; charset=utf8 ; q=1',
    'application/vnd.api+json',
  ])('reads a body of type %s', async (contentType) => {
    expect(await read({ 'content-type': contentType })).toEqual({ a: 1 });
  });

  it.each([
    '',
    'text/plain',
    'text/json',
    'application/x-www-form-urlencoded',
    'multipart/form-data; boundary=x',
    'application/jsonp',
    'application/json, text/plain',
    'application/json; charset=utf-16',
    'application/json; charset=iso-8859-1',
    'application/json; charset=utf-8; charset=utf-16',
    'application/json; charset = utf-16',
  ])('refuses a body of type "%s"', async (contentType) => {
    await expect(read({ 'content-type': contentType })).rejects.toMatchObject({
      code: 'unsupported_media_type',
    });
  });

  it('refuses a body without a type', async () => {
    const request = postRaw(Buffer.from('{}'), {});

    const refused = readJson({ request, header: () => undefined }, bodyLimits(1_024));

    await expect(refused).rejects.toMatchObject({ code: 'unsupported_media_type' });
  });

  it.each(['gzip', 'br', 'deflate', 'identity, gzip', 'GZIP'])(
    'refuses a body encoded with %s, so that nothing is ever inflated',
    async (encoding) => {
      const refused = read({ 'content-type': 'application/json', 'content-encoding': encoding });

      await expect(refused).rejects.toMatchObject({ code: 'unsupported_media_type' });
    },
  );

  it('reads a body with the encoding identity', async () => {
    const headers = { 'content-type': 'application/json', 'content-encoding': 'Identity' };

    expect(await read(headers)).toEqual({ a: 1 });
  });

  it.each(['{"headers":{}}', '{"message":"x","Headers":{"authorization":"y"}}', '{"HEADERS":1}'])(
    'refuses the overriding body %s',
    async (body) => {
      await expect(read({ 'content-type': 'application/json' }, body)).rejects.toMatchObject({
        code: 'invalid_request',
        param: 'headers',
      });
    },
  );
});
