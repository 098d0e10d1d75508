import { Server } from 'node:net';

type Listen = (this: Server, ...args: unknown[]) => void;

/**
 * Preloaded into a program that has no setting for its address: it listens on loopback only, and
 * prints the address. `_listen2` is where every `listen` ends; with an address of its own it would
 * end there later, and some programs read the port at once.
 */
const listen = Reflect.get(Server.prototype, '_listen2') as Listen;

Object.defineProperty(Server.prototype, '_listen2', {
  configurable: true,
  value(this: Server, ...[, port, , ...rest]: unknown[]): void {
    this.once('listening', () =>
      process.stdout.write(`listening ${JSON.stringify(this.address())}\n`),
    );
    listen.call(this, '127.0.0.1', port, 4, ...rest);
  },
});
