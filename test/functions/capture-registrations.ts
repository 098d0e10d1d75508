import { globSync } from 'node:fs';
import Module, { registerHooks } from 'node:module';
import { pathToFileURL } from 'node:url';

/**
 * Loads trigger files as the platform's worker would, in this bare process, and prints what they
 * register and which files were loaded for it. The argument is a glob of the trigger files.
 */
const registered: unknown[] = [];
const hooks: string[] = [];
const loaded: string[] = [];

const core = {
  version: '0.0.0',
  hostVersion: '4.1000.0',
  registerFunction(metadata: unknown) {
    registered.push(metadata);
    return { dispose: () => undefined };
  },
  registerHook(name: string) {
    hooks.push(name);
    return { dispose: () => undefined };
  },
  setProgrammingModel: () => undefined,
  getProgrammingModel: () => undefined,
  log: () => undefined,
};

registerHooks({
  load(url, context, next) {
    loaded.push(url);
    return next(url, context);
  },
});

const prototype: { require: (this: unknown, id: string) => unknown } = Module.prototype;
const originalRequire = prototype.require;
prototype.require = function require(this: unknown, id: string): unknown {
  return id === '@azure/functions-core' ? core : originalRequire.call(this, id);
};

for (const file of globSync(process.argv[2] ?? '').toSorted()) {
  await import(pathToFileURL(file).href);
}

const { moduleLoadList } = process as unknown as { readonly moduleLoadList: readonly string[] };
const builtins = moduleLoadList.map((name) => name.replace('NativeModule ', ''));
process.stdout.write(JSON.stringify({ registered, hooks, loaded, builtins }));
