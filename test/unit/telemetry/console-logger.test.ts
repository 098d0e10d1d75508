import { describe, expect, it } from 'vitest';
import {
  createConsoleLogger,
  createConsoleSink,
  createTelemetry,
} from '../../../shared/telemetry/create-telemetry.ts';
import { createRedactor } from '../../../shared/guardrails/log-redactor.ts';
import type { LogLevel, Telemetry } from '../../../shared/telemetry/telemetry.ts';

const AT_NOON = { now: () => Date.UTC(2030, 0, 1, 12) };

function setUp(minLevel: LogLevel = 'debug') {
  const lines: { line: string; level: LogLevel }[] = [];
  const write = (line: string, level: LogLevel): void => void lines.push({ line, level });
  return { lines, telemetry: createConsoleLogger({ clock: AT_NOON, minLevel, write }) };
}

function sayAll(telemetry: Telemetry): void {
  telemetry.debug('d');
  telemetry.info('i');
  telemetry.warn('w');
  telemetry.error('e');
}

describe('createConsoleLogger (H19)', () => {
  it('writes one JSON object with time, level, message and fields', () => {
    const { telemetry, lines } = setUp();

    telemetry.info('request answered', { status: 200, ok: true, none: null, absent: undefined });

    expect(lines).toEqual([
      {
        level: 'info',
        line: '{"time":"2030-01-01T12:00:00.000Z","level":"info","message":"request answered","status":200,"ok":true,"none":null}',
      },
    ]);
  });

  it.each([
    ['debug', ['debug', 'info', 'warn', 'error']],
    ['info', ['info', 'warn', 'error']],
    ['warn', ['warn', 'error']],
    ['error', ['error']],
  ] as [LogLevel, LogLevel[]][])('drops what is below %s', (minLevel, kept) => {
    const { telemetry, lines } = setUp(minLevel);

    sayAll(telemetry);

    expect(lines.map(({ level }) => level)).toEqual(kept);
  });

  it('adds bound fields to each line and to no other telemetry', () => {
    const { telemetry, lines } = setUp();
    const bound = telemetry.with({ requestId: 'r1' }).with({ route: 'chat' });

    bound.info('a', { code: 'x' });
    telemetry.info('b');

    expect(JSON.parse(lines[0]?.line ?? '')).toMatchObject({
      requestId: 'r1',
      route: 'chat',
      code: 'x',
    });
    expect(lines[1]?.line).not.toContain('r1');
  });

  it('lets no field replace the time, the level or the message', () => {
    const { telemetry, lines } = setUp();

    telemetry.error('real', { message: 'forged', level: 'debug', time: 'never' });

    expect(JSON.parse(lines[0]?.line ?? '')).toEqual({
      time: '2030-01-01T12:00:00.000Z',
      level: 'error',
      message: 'real',
    });
  });

  it.each([
    ['line feeds', 'a\r\nlevel=error forged'],
    ['terminal colours', '\u001b[2J\u001b[31mred'],
    ['a C1 control sequence', '\u009b31m'],
    ['delete', 'a\u007fb'],
    ['line separators', 'a\u2028b\u2029c'],
    ['bidirectional overrides', 'a\u202eb\u2066c\u2069\u200f\u061c'],
    ['invisible characters', 'a\u200b\u200d\u2060\ufeff\u00ad'],
    ['tag characters', '\u{e0041}\u{e0042}'],
    ['NUL', 'a\0b'],
    ['a lone surrogate', 'a\ud800'],
  ])('escapes %s and keeps the value', (_name, value) => {
    const { telemetry, lines } = setUp();

    telemetry.info('m', { value });

    const line = lines[0]?.line ?? '';
    expect(line).toMatch(/^[\x20-\x7e]+$/);
    expect(JSON.parse(line)).toMatchObject({ value });
  });

  it('leaves ordinary text of any language readable', () => {
    const { telemetry, lines } = setUp();

    telemetry.info('m', { value: 'Grüße 日本 😀' });

    expect(lines[0]?.line).toContain('Grüße 日本 😀');
  });

  it('caps a field of a megabyte', () => {
    const { telemetry, lines } = setUp();

    telemetry.info('m', { value: 'x'.repeat(1_000_000) });

    expect(lines[0]?.line.length).toBeLessThan(2_200);
  });

  it('writes numbers that are none as null', () => {
    const { telemetry, lines } = setUp();

    telemetry.info('m', { a: Number.NaN, b: Number.POSITIVE_INFINITY });

    expect(JSON.parse(lines[0]?.line ?? '')).toMatchObject({ a: null, b: null });
  });
});

describe('createConsoleLogger with redaction (H20)', () => {
  it('hides secrets and personal data in every field, those that were bound included', () => {
    const lines: string[] = [];
    const redact = createRedactor({ secrets: () => ['secret-canary'] });
    const write = (line: string): void => void lines.push(line);
    const log = createConsoleSink({ clock: AT_NOON, minLevel: 'debug', write, redact });
    const telemetry = createTelemetry({ log }).with({ requestId: 'jane@example.org' });

    telemetry.info('m', { cause: 'got secret-canary', from: '192.0.2.7', status: 200 });

    expect(JSON.parse(lines[0] ?? '')).toMatchObject({
      requestId: '[e-mail]',
      cause: 'got [secret]',
      from: '[address]',
      status: 200,
    });
  });
});
