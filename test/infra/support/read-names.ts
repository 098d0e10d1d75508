import { execFileSync } from 'node:child_process';
import { globSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { Node } from 'web-tree-sitter';
import { z } from 'zod';
import {
  bodyOf,
  childrenOf,
  declarations,
  nodesOf,
  plainText,
  propertiesOf,
  propertyOf,
  type BicepFile,
} from './bicep-tree.ts';

/** The strings of `var name = ['a', 'b']`. */
export function listOf(file: BicepFile, name: string): string[] {
  const found = declarations(file, 'variable').find((variable) => variable.name === name);
  return found === undefined ? [] : textsOf(found.node);
}

function textsOf(node: Node): string[] {
  const array = childrenOf(node).find(({ type }) => type === 'array');
  return (array === undefined ? [] : childrenOf(array)).flatMap((item) => plainText(item) ?? []);
}

/** The objects of `var name = [{ … }, { … }]`, by their plain properties. */
export function rowsOf(file: BicepFile, name: string): Record<string, string>[] {
  const found = declarations(file, 'variable').find((variable) => variable.name === name);
  const array = found && childrenOf(found.node).find(({ type }) => type === 'array');
  return (array === undefined ? [] : childrenOf(array)).map((row) =>
    Object.fromEntries(
      propertiesOf(row).map((property) => [
        property.name,
        plainText(property.value) ?? property.value.text,
      ]),
    ),
  );
}

/** Names of queues or containers that the code declares, by the ending of their constants. */
export function constantsOf(kind: 'QUEUE' | 'CONTAINER' | 'TABLE'): string[] {
  const pattern = new RegExp(`export const \\w*_${kind} = '([^']+)'`, 'g');
  return globSync('shared/**/*.ts').flatMap((path) =>
    [...readFileSync(path, 'utf8').matchAll(pattern)].map(([, name = '']) => name),
  );
}

/** Every app setting that the templates write, with the text of its value. */
export function appSettingsOf(
  app: BicepFile,
  main: BicepFile,
): { readonly name: string; readonly value: string }[] {
  const written = declarations(app, 'resource').find(({ name }) => name === 'appSettings');
  const own = nodesOf(
    propertyOf(bodyOf(written?.node ?? app.root), 'properties') ?? app.root,
    'object',
  );
  const module = declarations(main, 'module').find(({ name }) => name === 'app');
  const passed = propertyOf(bodyOf(module?.node ?? main.root), 'params', 'settings');
  return [...own, ...(passed === undefined ? [] : [passed])]
    .flatMap(propertiesOf)
    .map(({ name, value }) => ({ name, value: plainText(value) ?? value.text }));
}

export interface Trigger {
  readonly name: string;
  readonly route?: string;
  readonly queueName?: string;
  readonly connection?: string;
  readonly authLevel?: string;
}

const triggerSchema = z.object({
  type: z.string(),
  route: z.string().optional(),
  queueName: z.string().optional(),
  connection: z.string().optional(),
  authLevel: z.string().optional(),
});

const captureSchema = z.object({
  registered: z.array(
    z.object({ name: z.string(), bindings: z.record(z.string(), triggerSchema) }),
  ),
});

/** The triggers that the functions register with the worker. */
export function readTriggers(): Trigger[] {
  const script = fileURLToPath(
    new URL('../../functions/capture-registrations.ts', import.meta.url),
  );
  const output = execFileSync(process.execPath, [script, 'functions/*.ts'], {
    env: {},
    encoding: 'utf8',
  });
  return captureSchema.parse(JSON.parse(output)).registered.flatMap(({ name, bindings }) => {
    const trigger = Object.values(bindings).find(({ type }) => type.endsWith('Trigger'));
    if (trigger === undefined) return [];
    const { route, queueName, connection, authLevel } = trigger;
    return [
      {
        name,
        ...(route === undefined ? {} : { route }),
        ...(queueName === undefined ? {} : { queueName }),
        ...(connection === undefined ? {} : { connection }),
        ...(authLevel === undefined ? {} : { authLevel }),
      },
    ];
  });
}
