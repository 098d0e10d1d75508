/** What each file imports, by paths from the root. */
export type ImportGraph = ReadonlyMap<string, readonly string[]>;

/** One cycle for each group of files that import each other, shortest way round, as a sentence. */
export function checkCycles(graph: ImportGraph): string[] {
  const reachable = new Map([...graph.keys()].map((path) => [path, reachableFrom(path, graph)]));
  const reported = new Set<string>();
  return [...graph.keys()].toSorted().flatMap((path) => {
    if (reported.has(path) || reachable.get(path)?.has(path) !== true) return [];
    for (const other of reachable.get(path) ?? []) {
      if (reachable.get(other)?.has(path) === true) reported.add(other);
    }
    const way = shortestCycle(path, graph).join(' -> ');
    return [`${path} imports itself: ${way}; imports may not form a cycle, nor may type-only ones`];
  });
}

function reachableFrom(start: string, graph: ImportGraph): Set<string> {
  const seen = new Set<string>();
  const open = [start];
  for (let path = open.pop(); path !== undefined; path = open.pop()) {
    for (const next of graph.get(path) ?? []) {
      if (seen.has(next)) continue;
      seen.add(next);
      open.push(next);
    }
  }
  return seen;
}

function shortestCycle(start: string, graph: ImportGraph): readonly string[] {
  const ways: string[][] = [[start]];
  const seen = new Set<string>();
  for (const way of ways) {
    for (const next of graph.get(way.at(-1) ?? start) ?? []) {
      if (next === start) return [...way, start];
      if (seen.has(next)) continue;
      seen.add(next);
      ways.push([...way, next]);
    }
  }
  return [start];
}
