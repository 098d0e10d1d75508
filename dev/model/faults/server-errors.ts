import type { ResponseWriter } from '../response-writer.ts';
import { sendReply } from '../send-reply.ts';
import { failThenReply, type ScriptedModel } from './scripted-model.ts';

const STATUSES = [500, 502, 503, 504, 408, 421, 499] as const;
const HTML =
  '<html><head><title>503</title></head><body><h1>Service Unavailable</h1></body></html>';

export const serverErrorModels: readonly ScriptedModel[] = [
  ...STATUSES.map(thenOk),
  ...STATUSES.map(always),
  {
    name: '503-html-then-ok',
    parameter: { label: 'times', kind: 'number', standard: '1' },
    description: 'That many 503 with an HTML page, then answers.',
    answer: (writer, { number }) =>
      failThenReply(writer, { times: number, fail: () => sendHtml(writer) }),
  },
  {
    name: 'flaky',
    parameter: { label: 'percent', kind: 'number' },
    description:
      'That share of calls fails, by call number: 500, 503, a 502 page or a reset in turn; other calls get an answer.',
    answer: flake,
  },
];

function thenOk(status: number): ScriptedModel {
  return {
    name: `${status}-then-ok`,
    parameter: { label: 'times', kind: 'number', standard: '1' },
    description: `That many ${status}, then answers.`,
    answer: (writer, { number }) =>
      failThenReply(writer, { times: number, fail: () => fail(writer, status) }),
  };
}

function always(status: number): ScriptedModel {
  return {
    name: `${status}-always`,
    description: `Always ${status}.`,
    answer: (writer) => fail(writer, status),
  };
}

async function flake(
  writer: ResponseWriter,
  { number: percent }: { number: number },
): Promise<void> {
  const chance = scatter(writer.call.id);
  if (chance >= percent / 100) return sendReply(writer);
  const kinds = [
    async () => fail(writer, 500),
    async () => fail(writer, 503),
    async () => sendHtml(writer, 502),
    () => writer.cut(),
  ];
  await kinds[writer.call.id % kinds.length]?.();
}

/** A number from 0 to 1 that looks random and is the same for the same call number. */
function scatter(callNumber: number): number {
  let mixed = Math.imul(callNumber ^ 0x9e3779b9, 0x85ebca6b);
  mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35);
  return ((mixed ^ (mixed >>> 16)) >>> 0) / 2 ** 32;
}

function fail(writer: ResponseWriter, status: number): void {
  writer.sendError(status, 'The server had an error', { type: 'server_error' });
}

function sendHtml(writer: ResponseWriter, status = 503): void {
  writer.send({ status, headers: { 'content-type': 'text/html' }, body: HTML });
}
