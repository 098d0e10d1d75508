import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';

/** The reply of the second endpoint to every request. */
export const SECOND_ANSWER = 'This whole answer comes from the second endpoint.';

/** A model endpoint that always works: the target of a failover. */
export interface SecondEndpoint {
  readonly baseUrl: string;
  readonly port: number;
  /** Calls whose body contains the text. */
  callsWith(marker: string): number;
  stop(): Promise<void>;
}

export async function startSecondEndpoint(): Promise<SecondEndpoint> {
  const bodies: string[] = [];
  const server = createServer((request, response) => {
    // A request that its caller aborts while sending it does not count as a call.
    answer(request, response).then(
      (body) => bodies.push(body),
      () => response.destroy(),
    );
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return {
    baseUrl: `http://127.0.0.1:${port}/v1`,
    port,
    callsWith: (marker) => bodies.filter((body) => body.includes(marker)).length,
    stop: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

async function answer(request: IncomingMessage, response: ServerResponse): Promise<string> {
  const body = await text(request);
  if (/"stream":\s*true/.test(body)) {
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    for (const word of SECOND_ANSWER.split(/(?<= )/)) response.write(chunk({ content: word }));
    response.end(`${chunk({}, 'stop')}data: [DONE]\n\n`);
  } else {
    const message = { role: 'assistant', content: SECOND_ANSWER };
    response.writeHead(200, { 'content-type': 'application/json' });
    response.end(JSON.stringify(envelope({ index: 0, finish_reason: 'stop', message })));
  }
  return body;
}

function chunk(delta: Record<string, unknown>, finishReason: string | null = null): string {
  return `data: ${JSON.stringify(envelope({ index: 0, finish_reason: finishReason, delta }))}\n\n`;
}

function envelope(choice: unknown): unknown {
  const usage = { prompt_tokens: 5, completion_tokens: 8, total_tokens: 13 };
  return {
    id: 'second',
    object: 'chat.completion',
    created: 0,
    model: 'second',
    choices: [choice],
    usage,
  };
}
