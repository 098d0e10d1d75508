import { describe, expect, it } from 'vitest';
import type { HttpFunction } from '../../../dev/host/app-functions.ts';
import { parseTemplate } from '../../../dev/host/routes/parse-template.ts';
import { createRouteTable } from '../../../dev/host/routes/route-table.ts';

function values(template: string, path: string): Readonly<Record<string, string>> | undefined {
  return parseTemplate(template)(path);
}

function httpFunction(name: string, route: string, more: Partial<HttpFunction> = {}): HttpFunction {
  return {
    kind: 'http',
    name,
    route,
    methods: ['GET'],
    authLevel: 'anonymous',
    triggerName: 'trigger',
    isDisabled: false,
    outputs: new Map(),
    info: { name, bindings: {} },
    ...more,
  };
}

describe('a route template', () => {
  it.each([
    ['api/items', '/api/items', {}],
    ['api/items', '/API/Items/', {}],
    ['api/items', '/api/items/x', undefined],
    ['api/items/{id}', '/api/items/Ab', { id: 'Ab' }],
    ['api/items/{id}', '/api/items', undefined],
    ['api/items/{id}', '/api/items//', undefined],
    ['api/items/{id?}', '/api/items', {}],
    ['api/items/{id=7}', '/api/items', { id: '7' }],
    ['{*rest}', '/a/b', { rest: 'a/b' }],
    ['{*rest}', '/', {}],
    ['{**rest}', '/a/b', { rest: 'a/b' }],
    ['files/{name}.{extension?}', '/files/a.txt', { name: 'a', extension: 'txt' }],
    ['files/{name}.{extension?}', '/files/a', { name: 'a' }],
    ['v{version:int}/x', '/v12/x', { version: '12' }],
    ['a+b/{{c}}', '/a+b/{c}', {}],
  ])('%s meets %s', (template, path, expected) => {
    expect(values(template, path)).toEqual(expected);
  });

  it.each([
    ['int', '12', true],
    ['int', '-12', true],
    ['int', '2147483648', false],
    ['int', '1.5', false],
    ['long', '2147483648', true],
    ['bool', 'TRUE', true],
    ['bool', 'yes', false],
    ['alpha', 'abC', true],
    ['alpha', 'ab1', false],
    ['guid', '0f8fad5b-d9cb-469f-a165-70867728950e', true],
    ['guid', '0f8fad5b', false],
    ['double', '1.5e3', true],
    ['decimal', '1.5', true],
    ['datetime', '2026-01-02', true],
    ['datetime', 'soon', false],
    ['min(3)', '3', true],
    ['min(3)', '2', false],
    ['max(3)', '4', false],
    ['range(2,4)', '4', true],
    ['range(2,4)', '5', false],
    ['minlength(2)', 'a', false],
    ['maxlength(2)', 'abc', false],
    ['length(2)', 'ab', true],
    ['length(2)', 'abc', false],
    ['length(1,2)', 'ab', true],
    ['regex(^x\\d{{2}}$)', 'X12', true],
    ['regex(^x\\d{{2}}$)', 'x1', false],
    ['int:min(2)', '1', false],
  ])('with the constraint %s and the value %s fits: %s', (constraint, value, fits) => {
    expect(values(`{id:${constraint}}`, `/${value}`) !== undefined).toBe(fits);
  });

  it('asks nothing of an optional value that is missing', () => {
    expect(values('items/{id:int?}', '/items')).toEqual({});
    expect(values('items/{id:int?}', '/items/x')).toBeUndefined();
  });

  it.each([
    ['{id:nothing}', 'unknown'],
    ['{id}/{ID}', 'twice'],
    ['{*rest}/x', 'last'],
    ['a//b', 'empty'],
    ['{id', 'not closed'],
    ['id}', 'not open'],
    ['{}', 'no valid name'],
  ])('is refused as %s', (template, reason) => {
    expect(() => parseTemplate(template)).toThrow(reason);
  });
});

describe('the route table', () => {
  it('asks functions one after the other by name, letter case ignored', () => {
    const find = createRouteTable([httpFunction('B', '{any}'), httpFunction('a', 'x')], '');

    expect(find('GET', '/x')?.target.name).toBe('a');
    expect(find('GET', '/y')?.target.name).toBe('B');
  });

  it('goes on to the next function when the method is wrong', () => {
    const find = createRouteTable(
      [httpFunction('a', 'x', { methods: ['POST'] }), httpFunction('b', 'x')],
      'api',
    );

    expect(find('GET', '/api/x')?.target.name).toBe('b');
    expect(find('DELETE', '/api/x')).toBeUndefined();
    expect(find('GET', '/x')).toBeUndefined();
  });

  it('passes over what is disabled', () => {
    const find = createRouteTable([httpFunction('a', 'x', { isDisabled: true })], '');

    expect(find('GET', '/x')).toBeUndefined();
  });

  it('refuses two functions with one route and a common method', () => {
    expect(() => createRouteTable([httpFunction('a', 'x'), httpFunction('b', 'X')], '')).toThrow(
      "functions 'a' and 'b' must differ in route or methods",
    );
  });

  it.each(['admin/x', 'administration', 'Runtime/x'])(
    'refuses the route %s, which belongs to the platform',
    (route) => {
      expect(() => createRouteTable([httpFunction('a', route)], 'api')).toThrow(
        'belongs to the platform',
      );
    },
  );
});
