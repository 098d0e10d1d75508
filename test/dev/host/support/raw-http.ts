import { once } from 'node:events';
import { connect } from 'node:net';
import type { Socket } from 'node:net';

/** An exchange over a bare socket: nothing is normalised on the way. */
export async function exchange(port: number, text: string | Buffer): Promise<string> {
  const socket = await open(port);
  socket.write(text);
  return readAll(socket);
}

export async function open(port: number): Promise<Socket> {
  const socket = connect(port, '127.0.0.1');
  socket.on('error', () => undefined);
  await once(socket, 'connect');
  return socket;
}

/** All that comes until the other side ends the connection, in whatever way. */
export async function readAll(socket: Socket): Promise<string> {
  const chunks: Buffer[] = [];
  socket.on('data', (chunk: Buffer) => void chunks.push(chunk));
  await new Promise((resolve) => {
    socket.once('close', resolve);
  });
  return Buffer.concat(chunks).toString('latin1');
}

/** The text of a request that ends its connection. */
export function requestText(line: string, headers: readonly string[] = [], body = ''): string {
  const head = [`${line} HTTP/1.1`, 'Host: example.org', 'Connection: close', ...headers];
  return `${head.join('\r\n')}\r\n\r\n${body}`;
}
