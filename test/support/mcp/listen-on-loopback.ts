import { Server } from 'node:net';

/**
 * Preloaded into a program that has no setting for its address: it listens on loopback only, and
 * prints the address.
 */
const listen = Reflect.get(Server.prototype, 'listen') as (...args: unknown[]) => Server;

Object.defineProperty(Server.prototype, 'listen', {
  configurable: true,
  value(this: Server, port: unknown, ...rest: unknown[]): Server {
    this.once('listening', () =>
      process.stdout.write(`listening ${JSON.stringify(this.address())}\n`),
    );
    const callback = rest.find((item) => typeof item === 'function');
    return listen.call(this, Number(port), '127.0.0.1', callback);
  },
});
