import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { z } from 'zod';

export interface StepModelOptions {
  /** Model calls of one run; all but the last call a tool. */
  readonly steps: number;
  readonly stepMs: number;
}

/** A model whose runs have a fixed number of steps, and which counts what it was paid for. */
export interface StepModel {
  readonly url: string;
  /** Complete responses by run and step, such as `run-7 step 2`. */
  readonly answered: ReadonlyMap<string, number>;
  /** Calls that are open now. */
  open(): number;
  stop(): Promise<void>;
}

const TOKENS = 10;

const requestSchema = z.object({
  messages: z.array(z.object({ role: z.string(), content: z.unknown() })),
});

/** The first word of the user is the name of the run; it is also its answer. */
export async function startStepModel({ steps, stepMs }: StepModelOptions): Promise<StepModel> {
  const answered = new Map<string, number>();
  let open = 0;

  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { messages } = requestSchema.parse(JSON.parse(await bodyOf(request)));
    const user = messages.find(({ role }) => role === 'user');
    const name = String(user?.content).split(' ')[0] ?? '';
    const step = messages.filter(({ role }) => role === 'tool').length;
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    const deltas = step + 1 < steps ? [toolCall(step)] : textOf(name);
    for (const delta of deltas) {
      await delay(stepMs / deltas.length);
      if (response.destroyed) return;
      response.write(chunk({ delta, finish_reason: null }));
    }
    const finish_reason = step + 1 < steps ? 'tool_calls' : 'stop';
    response.end(`${chunk({ delta: {}, finish_reason })}data: [DONE]\n\n`);
    const key = `${name} step ${step}`;
    answered.set(key, (answered.get(key) ?? 0) + 1);
  }

  const server = createServer((request, response) => {
    open += 1;
    response.once('close', () => (open -= 1));
    answer(request, response).catch(() => response.destroy());
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}/v1`,
    answered,
    open: () => open,
    async stop() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

function toolCall(step: number) {
  const name = 'calculator';
  const text = JSON.stringify({ expression: `${step} + 1` });
  const id = `call_${step}`;
  return { tool_calls: [{ index: 0, id, type: 'function', function: { name, arguments: text } }] };
}

function textOf(name: string) {
  return Array.from({ length: TOKENS }, (_, index) => ({ content: `${name}.${index} ` }));
}

/** What the answer to a run must be. */
export function expectedText(name: string): string {
  return textOf(name)
    .map(({ content }) => content)
    .join('');
}

function chunk(choice: object): string {
  const choices = [{ index: 0, ...choice }];
  const data = { id: 'c', object: 'chat.completion.chunk', created: 1, model: 'steps', choices };
  return `data: ${JSON.stringify(data)}\n\n`;
}

async function bodyOf(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const part of request) chunks.push(Buffer.from(part));
  return Buffer.concat(chunks).toString('utf8');
}
