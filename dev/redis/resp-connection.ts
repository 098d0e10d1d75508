import { connect } from 'node:net';

/** An error that Redis replied with, as opposed to a connection that failed. */
export class RedisReplyError extends Error {}

export type RespValue = string | number | null | RedisReplyError | readonly RespValue[];

/** One connection to a Redis server by its own protocol. */
export interface RespConnection {
  /** An error of the server is a value; the promise rejects only when the connection is lost. */
  send(command: readonly string[]): Promise<RespValue>;
  close(): void;
}

interface Waiting {
  readonly resolve: (value: RespValue) => void;
  readonly reject: (error: Error) => void;
}

interface Parsed {
  readonly value: RespValue;
  readonly end: number;
}

/** Resolves when the socket at the path accepts. */
export async function openRespConnection(socketPath: string): Promise<RespConnection> {
  const socket = connect(socketPath);
  const waiting: Waiting[] = [];
  let buffer = Buffer.alloc(0);
  const opened = Promise.withResolvers<void>();

  function failAll(error: Error): void {
    opened.reject(error);
    for (const { reject } of waiting.splice(0)) reject(error);
  }
  socket.on('connect', () => opened.resolve());
  socket.on('error', failAll);
  socket.on('close', () => failAll(new Error('The connection to Redis is closed')));
  socket.on('data', (chunk) => {
    buffer = Buffer.concat([buffer, chunk]);
    for (let parsed = parse(buffer, 0); parsed !== undefined; parsed = parse(buffer, 0)) {
      buffer = buffer.subarray(parsed.end);
      waiting.shift()?.resolve(parsed.value);
    }
  });
  await opened.promise;
  return {
    send(command) {
      const reply = Promise.withResolvers<RespValue>();
      if (socket.destroyed) reply.reject(new Error('The connection to Redis is closed'));
      else waiting.push(reply);
      socket.write(encode(command));
      return reply.promise;
    },
    close: () => socket.destroy(),
  };
}

function encode(command: readonly string[]): string {
  const parts = command.map((part) => `$${Buffer.byteLength(part)}\r\n${part}\r\n`);
  return `*${command.length}\r\n${parts.join('')}`;
}

/** One whole value from an offset on, or undefined while bytes are missing. */
function parse(bytes: Buffer, from: number): Parsed | undefined {
  const lineEnd = bytes.indexOf('\r\n', from);
  if (lineEnd === -1) return undefined;
  const line = bytes.toString('utf8', from + 1, lineEnd);
  const end = lineEnd + 2;
  switch (String.fromCharCode(bytes[from] ?? 0)) {
    case '+':
      return { value: line, end };
    case '-':
      return { value: new RedisReplyError(line), end };
    case ':':
      return { value: Number(line), end };
    case '$':
      return parseText(bytes, { length: Number(line), start: end });
    case '*':
      return parseList(bytes, { length: Number(line), start: end });
    default:
      throw new Error(`Cannot read a reply of Redis that begins with ${bytes[from]}`);
  }
}

interface Extent {
  readonly length: number;
  readonly start: number;
}

function parseText(bytes: Buffer, { length, start }: Extent): Parsed | undefined {
  if (length < 0) return { value: null, end: start };
  const end = start + length;
  if (bytes.length < end + 2) return undefined;
  return { value: bytes.toString('utf8', start, end), end: end + 2 };
}

function parseList(bytes: Buffer, { length, start }: Extent): Parsed | undefined {
  if (length < 0) return { value: null, end: start };
  const values: RespValue[] = [];
  let end = start;
  for (let index = 0; index < length; index += 1) {
    const item = parse(bytes, end);
    if (item === undefined) return undefined;
    values.push(item.value);
    end = item.end;
  }
  return { value: values, end };
}
