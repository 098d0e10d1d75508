import { describe, expect, it } from 'vitest';
import { cacheStatusHeader, parseCacheControl } from '../../../shared/cache/cache-headers.ts';

const nothing = { noStore: false, noCache: false, maxAgeSeconds: undefined };

describe('Cache-Control of a request', () => {
  it.each([
    [undefined, nothing],
    ['', nothing],
    ['only-if-cached, min-fresh=5, unknown="a, b"', nothing],
    ['no-store', { ...nothing, noStore: true }],
    ['NO-CACHE', { ...nothing, noCache: true }],
    [' no-cache ,no-store', { ...nothing, noCache: true, noStore: true }],
    ['max-age=60', { ...nothing, maxAgeSeconds: 60 }],
    ['max-age="60"', { ...nothing, maxAgeSeconds: 60 }],
    ['max-age=0', { ...nothing, noCache: true, maxAgeSeconds: 0 }],
    ['max-age=-1', { ...nothing, noCache: true, maxAgeSeconds: 0 }],
    ['max-age=soon', { ...nothing, noCache: true, maxAgeSeconds: 0 }],
    ['no-store-please', nothing],
  ])('reads %j', (header, expected) => {
    expect(parseCacheControl(header)).toEqual(expected);
  });
});

describe('Cache-Status of a response', () => {
  it.each([
    [{ kind: 'hit', ttlSeconds: 299 } as const, 'serverless-agent; hit; ttl=299'],
    [{ kind: 'collapsed' } as const, 'serverless-agent; fwd=miss; collapsed'],
    [
      { kind: 'forward', reason: 'miss', stored: true } as const,
      'serverless-agent; fwd=miss; stored',
    ],
    [{ kind: 'forward', reason: 'stale', stored: false } as const, 'serverless-agent; fwd=stale'],
    [{ kind: 'forward', reason: 'bypass' } as const, 'serverless-agent; fwd=bypass'],
    [{ kind: 'forward', reason: 'request' } as const, 'serverless-agent; fwd=request'],
  ])('formats %j as RFC 9211 does', (status, expected) => {
    expect(cacheStatusHeader(status)).toBe(expected);
  });
});
