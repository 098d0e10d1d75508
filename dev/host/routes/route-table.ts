import { CliError } from '../../cli-error.ts';
import type { HttpFunction } from '../app-functions.ts';
import { parseTemplate } from './parse-template.ts';
import type { RouteMatcher } from './parse-template.ts';

export interface RouteMatch {
  readonly target: HttpFunction;
  readonly values: Readonly<Record<string, string>>;
}

/** Finds the function for a request, the way the platform does: one after the other, by name. */
export type RouteTable = (method: string, path: string) => RouteMatch | undefined;

interface Route {
  readonly target: HttpFunction;
  readonly match: RouteMatcher;
}

/** Builds the route table; refuses what the platform refuses to load. */
export function createRouteTable(
  functions: readonly HttpFunction[],
  routePrefix: string,
): RouteTable {
  const sorted = functions.toSorted((a, b) => compare(a.name.toLowerCase(), b.name.toLowerCase()));
  for (const [index, target] of sorted.entries()) {
    requireFreeRoute(target);
    requireNoConflict(target, sorted.slice(0, index));
  }
  const routes = sorted
    .filter(({ isDisabled }) => !isDisabled)
    .map((target): Route => ({ target, match: compile(target, routePrefix) }));
  return (method, path) => {
    for (const { target, match } of routes) {
      if (target.methods.length > 0 && !target.methods.includes(method)) continue;
      const values = match(path);
      if (values !== undefined) return { target, values };
    }
    return undefined;
  };
}

function compile({ name, route }: HttpFunction, prefix: string): RouteMatcher {
  try {
    return parseTemplate([prefix, route].filter((part) => part !== '').join('/'));
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new CliError(
      `Cannot start as the route of function '${name}' must be a template: '${route}': ${reason}`,
      { cause: error },
    );
  }
}

function requireFreeRoute({ name, route }: HttpFunction): void {
  // By text, not by segment: `administration` is refused as well.
  const reserved = ['admin', 'runtime'].find((word) => route.toLowerCase().startsWith(word));
  if (reserved === undefined) return;
  throw new CliError(
    `Cannot start as the route of function '${name}' must not begin with '${reserved}', which belongs to the platform: current value is '${route}'`,
  );
}

function requireNoConflict(target: HttpFunction, others: readonly HttpFunction[]): void {
  const other = others.find(
    ({ route, methods }) =>
      route.toLowerCase() === target.route.toLowerCase() && overlap(methods, target.methods),
  );
  if (other === undefined) return;
  throw new CliError(
    `Cannot start as functions '${other.name}' and '${target.name}' must differ in route or methods: both have '${target.route}'`,
  );
}

function overlap(a: readonly string[], b: readonly string[]): boolean {
  return a.length === 0 || b.length === 0 || a.some((method) => b.includes(method));
}

function compare(a: string, b: string): number {
  if (a === b) return 0;
  return a < b ? -1 : 1;
}
