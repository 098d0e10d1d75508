import { readFile } from 'node:fs/promises';
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

/** Prepares the log lines of the OpenAI client, also where its log is off. */
const LOG_MODULE = /[\\/]openai[\\/]internal[\\/]utils[\\/]log\.mjs$/;
const REDACT_URL = /export function redactURL\(value\) \{/;

/**
 * The OpenAI client composes a log line for each request before it asks whether its log is on, and
 * parses the address for it. Its log is off here, so the bundle leaves the parsing out.
 * @throws Error if a new version of the client has no such function
 */
export function skipClientLogLines(): Plugin {
  return {
    name: 'skip-client-log-lines',
    setup(build) {
      build.onLoad({ filter: LOG_MODULE }, async ({ path }) => {
        const source = await readFile(path, 'utf8');
        if (!REDACT_URL.test(source)) throw new Error(`Cannot find redactURL in ${path}`);
        return { contents: source.replace(REDACT_URL, '$&return "";') };
      });
    },
  };
}
