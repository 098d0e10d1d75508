/** One source file, by its path from the project's root. */
export interface SourceFile {
  readonly path: string;
  readonly text: string;
}

/** Who may import whom. Every room may also import itself and the two files at the ground. */
export const DOORS: Readonly<Record<string, readonly string[]>> = {
  functions: ['composition-root', 'http', 'batch'],
  'composition-root': [
    'agent',
    'batch',
    'cache',
    'callers',
    'config',
    'health',
    'http',
    'model',
    'rate-limit',
    'redis',
    'secrets',
    'storage',
    'telemetry',
  ],
  http: [
    'protocols',
    'agent',
    'batch',
    'callers',
    'health',
    'rate-limit',
    'resilience',
    'telemetry',
  ],
  protocols: ['agent', 'model'],
  batch: ['protocols', 'agent', 'storage', 'resilience', 'telemetry'],
  agent: ['cache', 'model', 'telemetry'],
  model: ['resilience', 'telemetry'],
  resilience: ['telemetry'],
  health: ['resilience', 'telemetry'],
  cache: ['resilience', 'telemetry'],
  storage: ['resilience', 'telemetry'],
  'rate-limit': ['callers', 'telemetry'],
  callers: [],
  redis: ['resilience', 'telemetry'],
  telemetry: [],
  secrets: ['resilience', 'telemetry'],
  config: ['secrets', 'telemetry'],
  errors: [],
  clock: [],
  json: ['errors'],
};

/** Floors of a room that has floors, from the top: each stands on those below it. */
export const FLOORS: Readonly<Record<string, readonly string[]>> = {
  batch: ['api', 'processing', 'planning', 'storage', 'model'],
};

const GROUND = ['errors', 'clock', 'json'];
const IMPORT = /(?:from|import)\s*\(?\s*'([^']+)'/g;

/** Every way in which the files break the rules of the house, as sentences. */
export function violations(files: readonly SourceFile[]): string[] {
  return files.flatMap((file) => [
    ...doorViolations(file),
    ...floorViolations(file),
    ...triggerViolations(file),
    ...environmentViolations(file),
    ...sizeViolations(file),
    ...bundleViolations(file),
  ]);
}

function doorViolations({ path, text }: SourceFile): string[] {
  const room = roomOf(path);
  const doors = DOORS[room];
  if (doors === undefined) return [`${path} stands in the room ${room}, which has no doors`];
  const ground = GROUND.includes(room) ? [] : GROUND;
  const allowed = new Set([room, ...doors, ...ground]);
  return importsOf({ path, text })
    .filter((target) => !allowed.has(roomOf(target)))
    .map((target) => `${path} may not import ${target}`);
}

function floorViolations({ path, text }: SourceFile): string[] {
  const floors = FLOORS[roomOf(path)] ?? [];
  const floor = floorOf(path);
  if (floor === undefined) return [];
  if (!floors.includes(floor))
    return [`${path} stands on the floor ${floor}, which is not planned`];
  return importsOf({ path, text })
    .filter((target) => roomOf(target) === roomOf(path))
    .filter((target) => floors.indexOf(floorOf(target) ?? '') < floors.indexOf(floor))
    .filter((target) => floorOf(target) !== undefined)
    .map((target) => `${path} may not import ${target}, which is above it`);
}

/** The folder within a room that has floors. */
function floorOf(path: string): string | undefined {
  const [, , floor, ...file] = path.split('/');
  return FLOORS[roomOf(path)] !== undefined && file.length > 0 ? floor : undefined;
}

function triggerViolations({ path, text }: SourceFile): string[] {
  if (!path.startsWith('functions/')) return [];
  const calls = text.match(/\bapp(?:\.\w+)+\(/g)?.length ?? 0;
  const lines = lineCount(text);
  return [
    ...(calls === 1 ? [] : [`${path} registers ${calls} times instead of once`]),
    ...(lines <= 40 ? [] : [`${path} has ${lines} lines; a trigger has at most 40`]),
    ...(/\bif\s*\(/.test(text) ? [`${path} decides something; a trigger has no logic`] : []),
  ];
}

function environmentViolations({ path, text }: SourceFile): string[] {
  if (path === 'shared/composition-root.ts' || !/\bprocess\.env\b/.test(text)) return [];
  return [`${path} reads process.env; only the composition root does`];
}

/** The namespace object of zod cannot be taken apart by the bundler: 440 kB in every cold start. */
function bundleViolations({ path, text }: SourceFile): string[] {
  if (!/import (?:type )?\{[^}]*\bz\b[^}]*\} from 'zod'/.test(text)) return [];
  return [`${path} imports all of zod; write import * as z from 'zod'`];
}

function sizeViolations({ path, text }: SourceFile): string[] {
  const lines = lineCount(text);
  return lines <= 300 ? [] : [`${path} has ${lines} lines; a file has at most 300`];
}

/** The paths, from the root, of what a file imports by a relative path. */
function importsOf({ path, text }: SourceFile): string[] {
  const base = new URL(path, 'file:///');
  return [...text.matchAll(IMPORT)]
    .map(([, specifier = '']) => specifier)
    .filter((specifier) => specifier.startsWith('.'))
    .map((specifier) => new URL(specifier, base).pathname.slice(1));
}

function roomOf(path: string): string {
  const [top = '', second = ''] = path.split('/');
  return top === 'shared' ? second.replace(/\.ts$/, '') : top;
}

function lineCount(text: string): number {
  return text.split('\n').length - 1;
}
