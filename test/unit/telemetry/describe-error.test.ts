import { describe, expect, it } from 'vitest';
import { ServiceError } from '../../../shared/errors.ts';
import { describeError, stackFrames } from '../../../shared/telemetry/describe-error.ts';

function withStack(stack: string, message = ''): Error {
  return Object.assign(new Error(message), { stack });
}

describe('describeError', () => {
  it('names classes, codes and statuses along the chain', () => {
    const innermost = Object.assign(new TypeError('secret'), { code: 'ECONNRESET' });
    const middle = Object.assign(new Error('secret', { cause: innermost }), { status: 503 });
    const outer = new ServiceError('upstream_unavailable', 'Away', { cause: middle });

    expect(describeError(outer)).toBe(
      'ServiceError upstream_unavailable: Away <- Error 503 <- TypeError ECONNRESET',
    );
  });

  it.each([
    ['secret', 'string'],
    [42, 'number'],
    [{ message: 'secret' }, 'object'],
    [undefined, ''],
    [null, ''],
  ])('describes %j by its type only', (thrown, text) => {
    expect(describeError(thrown)).toBe(text);
  });

  it('uses no free text as a code, a class or a status', () => {
    const error = Object.assign(new Error('secret'), {
      code: 'key sk-secret was refused',
      status: 'secret',
      name: 'secret',
      constructor: { name: 'secret' },
    });

    expect(describeError(error)).toBe('Error');
  });

  it('stops in a circular chain', () => {
    const error = new Error('secret');
    error.cause = error;

    expect(describeError(error)).toBe('Error <- Error <- Error <- Error');
  });
});

describe('stackFrames', () => {
  it('names functions, files and lines of this code', () => {
    function explode(): Error {
      return new Error('secret');
    }

    expect(stackFrames(explode())).toMatch(/^explode describe-error\.test\.ts:\d+:\d+ \| /);
  });

  it.each([
    ['at fn (file:///home/ann/app/shared/x.ts:1:2)', 'fn x.ts:1:2'],
    ['at async file:///home/ann/app/x.ts:1:2', 'x.ts:1:2'],
    ['at async Foo.bar (/home/ann/my app/x.js:1:2)', 'async Foo.bar x.js:1:2'],
    ['at /home/ann/x.js:1:2', 'x.js:1:2'],
    ['at fn (C:\\Users\\ann\\app\\x.js:1:2)', 'fn x.js:1:2'],
    ['at fn (file:///C:/Users/ann/x.js:1:2)', 'fn x.js:1:2'],
    ['at new Foo (/srv/ann/x.js:1:2)', 'new Foo x.js:1:2'],
    ['at node:internal/process/task_queues:95:5', 'task_queues:95:5'],
    ['at eval (eval at go (/home/ann/x.js:1:1), <anonymous>:1:7)', 'unknown'],
    ['at Promise.all (index 0)', 'unknown'],
  ])('removes the folders of "%s"', (frame, place) => {
    expect(stackFrames(withStack(`Error\n    ${frame}`))).toBe(place);
  });

  it('does not read lines of the message as frames', () => {
    const message = 'first\n    at sk-secret (/secret/key.ts:1:1)\n    at more:1:1';
    const error = new Error(message);

    expect(stackFrames(error)).not.toMatch(/secret|key\.ts|more/);
    expect(stackFrames(error)).toContain('describe-error.test.ts');
  });

  it('has at most three frames', () => {
    const frames = Array.from({ length: 9 }, (_, at) => `    at f${at} (/a/x.ts:${at}:1)`);

    expect(stackFrames(withStack(`Error\n${frames.join('\n')}`))).toBe(
      'f0 x.ts:0:1 | f1 x.ts:1:1 | f2 x.ts:2:1',
    );
  });

  it.each([undefined, null, 'text', 7, withStack(''), withStack('Error: x', 'x')])(
    'has no frame for %s',
    (thrown) => {
      expect(stackFrames(thrown)).toBe('unknown');
    },
  );
});
