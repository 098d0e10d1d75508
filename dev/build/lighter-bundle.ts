import type { Plugin } from 'esbuild';

/**
 * Modules of Node with getters that load undici. An `import` statement reads every getter, which
 * costs 30 ms and 3 MB; a property of the module object is read when it is used. The Functions
 * library needs undici for the first HTTP request; an instance that only processes batches never
 * loads it.
 */
const LAZY = /^(?:node:)?(?:https?|crypto)$/;
const NAMESPACE = 'lazy-builtin';

/** Bundles these modules as CommonJS that returns the module object, without an `import` of it. */
export function readBuiltinsLazily(): Plugin {
  return {
    name: 'read-builtins-lazily',
    setup(build) {
      build.onResolve({ filter: LAZY }, ({ path }) => ({ path, namespace: NAMESPACE }));
      build.onLoad({ filter: /.*/, namespace: NAMESPACE }, ({ path }) => ({
        contents: `module.exports = process.getBuiltinModule(${JSON.stringify(path)});`,
      }));
    },
  };
}
