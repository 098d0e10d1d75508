import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import {
  type Caller,
  type CallerRules,
  identifyCaller,
  parseCallerKeys,
} from '../../../shared/callers/caller.ts';
import { ServiceError } from '../../../shared/errors.ts';

const TENANT = '11111111-2222-3333-4444-555555555555';
const OBJECT = 'AAAAAAAA-bbbb-cccc-dddd-eeeeeeeeeeee';

const open: CallerRules = {
  trustPrincipal: false,
  requiredRole: undefined,
  needsCredential: false,
  keys: undefined,
  proxiesInFront: 0,
  ipv6PrefixBits: 56,
};
const keyed: CallerRules = {
  ...open,
  keys: parseCallerKeys(JSON.stringify({ alice: sha256('key-a'), bob: sha256('key-b') })),
};
const behindEasyAuth: CallerRules = { ...open, trustPrincipal: true };

function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}

function principal(claims: unknown): string {
  return Buffer.from(JSON.stringify({ auth_typ: 'aad', claims })).toString('base64');
}

const entra = principal([
  { typ: 'http://schemas.microsoft.com/identity/claims/objectidentifier', val: OBJECT },
  { typ: 'http://schemas.microsoft.com/identity/claims/tenantid', val: TENANT },
]);

function identify(headers: Record<string, string>, rules: CallerRules): Caller {
  return identifyCaller(
    { header: (name) => headers[name], forwardedFor: headers['x-forwarded-for'] },
    rules,
  );
}

function refusalOf(headers: Record<string, string>, rules: CallerRules): unknown {
  try {
    return identify(headers, rules);
  } catch (error) {
    return error;
  }
}

describe('the caller', () => {
  it('is the address that the platform saw, where there is no other evidence', () => {
    const caller = identify({ 'x-forwarded-for': '9.9.9.9, 203.0.113.7:1234' }, open);

    expect(caller).toEqual({ id: 'address:203.0.113.7', kind: 'address' });
  });

  it.each([
    [{ authorization: 'Bearer key-a' }, 'key:alice'],
    [{ authorization: 'bearer   key-b ' }, 'key:bob'],
    [{ 'x-api-key': 'key-b' }, 'key:bob'],
    [{ 'api-key': 'key-b' }, 'key:bob'],
    [{ authorization: 'Bearer of-a-client-library', 'x-api-key': 'key-a' }, 'key:alice'],
  ])('is the owner of the key in %j', (headers: Record<string, string>, id) => {
    expect(identify(headers, keyed)).toEqual({ id, kind: 'key' });
  });

  it('is the Entra principal where the front end is trusted', () => {
    const caller = identify(
      { 'x-ms-client-principal': entra, 'x-api-key': 'key-b' },
      {
        ...keyed,
        trustPrincipal: true,
      },
    );

    expect(caller).toEqual({ id: `entra:${TENANT}/${OBJECT.toLowerCase()}`, kind: 'entra' });
  });

  it('R5 is not the principal of a forged header', () => {
    const headers = { 'x-ms-client-principal': entra, 'x-forwarded-for': '203.0.113.7' };

    expect(identify(headers, open).id).toBe('address:203.0.113.7');
    expect(refusalOf(headers, keyed)).toBeInstanceOf(ServiceError);
  });

  it('R5 does not depend on any other part of the request', () => {
    const claims = ['x-real-ip', 'forwarded', 'client-ip', 'x-client-ip', 'cf-connecting-ip'];
    const ids = claims.map(
      (name, index) =>
        identify({ 'x-forwarded-for': `${index}.1.1.1, 203.0.113.7`, [name]: '9.9.9.9' }, open).id,
    );

    expect(new Set(ids)).toEqual(new Set(['address:203.0.113.7']));
  });

  it.each<readonly [string, Record<string, string>, CallerRules]>([
    ['nothing', {}, keyed],
    ['a wrong key', { authorization: 'Bearer wrong' }, keyed],
    ['a key in another case', { authorization: 'Bearer KEY-A' }, keyed],
    ['the hash of a key', { 'x-api-key': sha256('key-a') }, keyed],
    ['the name of a caller', { 'x-api-key': 'alice' }, keyed],
    ['another scheme', { authorization: 'Basic key-a' }, keyed],
    ['two keys in one header', { authorization: 'Bearer key-a, Bearer key-b' }, keyed],
    ['no key at all, when no key has the hash', { authorization: 'Bearer ' }, emptyAllowed()],
    ['any key, when the list is empty', { 'x-api-key': 'x' }, { ...open, keys: { entries: [] } }],
    ['a principal that is no JSON', { 'x-ms-client-principal': 'e30' }, behindEasyAuth],
    ['a principal without a tenant', withClaims([['oid', OBJECT]]), behindEasyAuth],
    [
      'an object id that is none',
      withClaims([
        ['oid', '../x'],
        ['tid', TENANT],
      ]),
      behindEasyAuth,
    ],
    [
      'two object ids',
      withClaims([
        ['oid', OBJECT],
        ['oid', TENANT],
        ['tid', TENANT],
      ]),
      behindEasyAuth,
    ],
  ])('is refused with the same message for %s', (_name, headers, rules) => {
    const refusal = refusalOf(headers, rules);

    expect(refusal).toBeInstanceOf(ServiceError);
    expect(refusal).toMatchObject({
      code: 'unauthorized',
      message: 'Valid credentials are required',
    });
  });

  it('is refused by its address where nothing in front checks a key', () => {
    const headers = { 'x-forwarded-for': '203.0.113.7' };
    const rules = { ...open, needsCredential: true };

    expect(refusalOf(headers, rules)).toMatchObject({ code: 'unauthorized' });
    expect(refusalOf(headers, { ...rules, trustPrincipal: true })).toMatchObject({
      code: 'unauthorized',
    });
    expect(identify({ 'x-api-key': 'key-a' }, { ...keyed, needsCredential: true }).id).toBe(
      'key:alice',
    );
  });

  it.each([
    ['roles', 'Agent.Call', undefined],
    ['http://schemas.microsoft.com/ws/2008/06/identity/claims/role', 'Agent.Call', undefined],
    ['roles', 'agent.call', 'forbidden'],
    ['roles', 'Agent.Call,Other', 'forbidden'],
    ['scp', 'Agent.Call', 'forbidden'],
    ['name', 'Agent.Call', 'forbidden'],
  ])('needs the app role as a claim of its own: %s is %s', (typ, val, code) => {
    const headers = withClaims([
      ['oid', OBJECT],
      ['tid', TENANT],
      ['roles', 'Other'],
      [typ, val],
    ]);

    const refusal = refusalOf(headers, { ...behindEasyAuth, requiredRole: 'Agent.Call' });

    if (code === undefined) expect(refusal).toMatchObject({ kind: 'entra' });
    else expect(refusal).toMatchObject({ code });
  });

  function withClaims(claims: readonly (readonly [string, string])[]): Record<string, string> {
    return { 'x-ms-client-principal': principal(claims.map(([typ, val]) => ({ typ, val }))) };
  }

  function emptyAllowed(): CallerRules {
    return { ...open, keys: parseCallerKeys(JSON.stringify({ nobody: sha256('') })) };
  }
});

describe('the list of caller keys', () => {
  it.each([
    '',
    'not json',
    'null',
    '[]',
    '{}',
    '{"a":1}',
    '{"a":"key-in-clear"}',
    `{"":"${'0'.repeat(64)}"}`,
    `{"a b":"${'0'.repeat(64)}"}`,
  ])('accepts no caller when it is %j', (secret) => {
    const read = (): unknown => parseCallerKeys(secret);

    expect(read).toThrow('Cannot read the secret caller-keys');
  });

  it('takes hashes in any case, and as many names as there are', () => {
    const secret = { a: sha256('1').toUpperCase(), 'b.c-d_e': sha256('2') };

    const keys = parseCallerKeys(JSON.stringify(secret));

    expect(identify({ 'x-api-key': '1' }, { ...open, keys }).id).toBe('key:a');
    expect(identify({ 'x-api-key': '2' }, { ...open, keys }).id).toBe('key:b.c-d_e');
  });
});
