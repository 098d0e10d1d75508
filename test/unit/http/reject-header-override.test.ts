import { describe, expect, it } from 'vitest';
import {
  rejectHeaderOverrideInBody,
  rejectHeaderOverrideInQuery,
} from '../../../shared/http/read-body.ts';
import { get } from '../../support/http-call.ts';

describe('rejectHeaderOverrideInQuery', () => {
  it.each([
    'headers=1',
    'Headers={"a":"b"}',
    'HEADERS',
    'a=1&%48eaders=2',
    'header%C5%BF=1',
    'b&headers=',
  ])('refuses the query %s', (query) => {
    const request = get(`http://127.0.0.1/ready?${query}`);

    expect(() => rejectHeaderOverrideInQuery(request)).toThrow(/must not take the place/);
  });

  it.each(['', 'header=1', 'x=headers', 'code=1&headersX=2', 'a.headers=1'])(
    'lets the query "%s" pass',
    (query) => {
      expect(() =>
        rejectHeaderOverrideInQuery(get(`http://127.0.0.1/ready?${query}`)),
      ).not.toThrow();
    },
  );
});

describe('rejectHeaderOverrideInBody', () => {
  it.each([{ headers: 1 }, { Headers: {} }, { a: 1, hEADERS: null }, { ['header\u017f']: 1 }])(
    'refuses the body %j',
    (body) => {
      expect(() => rejectHeaderOverrideInBody(body)).toThrow(/must not take the place/);
    },
  );

  it.each([null, 1, 'headers', ['headers'], [{ headers: 1 }], { a: { headers: 1 } }, {}])(
    'lets the body %j pass',
    (body) => {
      expect(() => rejectHeaderOverrideInBody(body)).not.toThrow();
    },
  );
});
