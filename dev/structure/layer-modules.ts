/** Boxes in layers, with one point for each layer that a line crosses between two boxes. */
export interface Layout {
  /** From the top layer down, each from left to right. */
  readonly layers: readonly (readonly Slot[])[];
  readonly edges: readonly LaidOutEdge[];
}

/** A box, or the place where a line crosses a layer. */
export interface Slot {
  readonly id: string;
  readonly isBox: boolean;
  /** The middle. */
  x: number;
}

export interface Edge {
  readonly from: string;
  readonly to: string;
}

export interface LaidOutEdge extends Edge {
  /** The ids of the slots from `from` to `to`, both included. */
  readonly way: readonly string[];
}

export interface LayoutOptions {
  readonly boxWidth: number;
  readonly lineWidth: number;
  readonly gap: number;
}

/** Enough for every order and position to settle; each sweep takes microseconds. */
const SWEEPS = 24;

/** Places every box above all that it imports, and lines that cross layers between the boxes. */
export function layOut(
  nodes: readonly string[],
  edges: readonly Edge[],
  options: LayoutOptions,
): Layout {
  const levels = levelsOf(nodes, edges);
  const height = Math.max(...levels.values());
  const layers: Slot[][] = Array.from({ length: height + 1 }, () => []);
  for (const node of nodes) {
    layers[height - (levels.get(node) ?? 0)]?.push({ id: node, isBox: true, x: 0 });
  }
  const laidOut = edges.map(({ from, to }) => {
    const top = height - (levels.get(from) ?? 0);
    const bottom = height - (levels.get(to) ?? 0);
    const crossed = Array.from({ length: bottom - top - 1 }, (_, index) => {
      const id = `${from} to ${to} ${index}`;
      layers[top + 1 + index]?.push({ id, isBox: false, x: 0 });
      return id;
    });
    return { from, to, way: [from, ...crossed, to] };
  });
  const neighbours = neighboursOf(laidOut);
  orderLayers(layers, neighbours);
  placeSlots(layers, neighbours, options);
  return { layers, edges: laidOut };
}

/** The longest path down from each node: 0 for a node that imports none of the others. */
function levelsOf(nodes: readonly string[], edges: readonly Edge[]): Map<string, number> {
  const levels = new Map<string, number>();
  function levelOf(node: string): number {
    const known = levels.get(node);
    if (known !== undefined) return known;
    // Known while it is computed, so that a cycle ends.
    levels.set(node, 0);
    const below = edges.filter(({ from }) => from === node).map(({ to }) => levelOf(to) + 1);
    const level = Math.max(0, ...below);
    levels.set(node, level);
    return level;
  }
  for (const node of nodes) levelOf(node);
  return levels;
}

function neighboursOf(edges: readonly LaidOutEdge[]): Map<string, string[]> {
  const neighbours = new Map<string, string[]>();
  for (const { way } of edges) {
    for (const [index, id] of way.entries()) {
      const own = neighbours.get(id) ?? [];
      neighbours.set(id, own);
      own.push(...way.slice(Math.max(0, index - 1), index), ...way.slice(index + 1, index + 2));
    }
  }
  return neighbours;
}

/** Reduces crossings: each slot moves to the mean place of its neighbours, layer by layer. */
function orderLayers(layers: Slot[][], neighbours: ReadonlyMap<string, readonly string[]>): void {
  const places = new Map<string, number>();
  for (const layer of layers) setPlaces(layer, places);
  for (let sweep = 0; sweep < SWEEPS; sweep += 1) {
    for (const layer of sweep % 2 === 0 ? layers : layers.toReversed()) {
      const wanted = new Map(
        layer.map(({ id }) => [
          id,
          meanOf(neighbours.get(id) ?? [], places) ?? places.get(id) ?? 0,
        ]),
      );
      layer.sort((one, other) => (wanted.get(one.id) ?? 0) - (wanted.get(other.id) ?? 0));
      setPlaces(layer, places);
    }
  }
}

/** Relative to the length of the layer, so that short and long layers compare. */
function setPlaces(layer: readonly Slot[], places: Map<string, number>): void {
  for (const [index, { id }] of layer.entries()) places.set(id, (index + 0.5) / layer.length);
}

/**
 * Straightens lines: each slot moves towards its neighbours as far as the slots beside it allow.
 */
function placeSlots(
  layers: readonly Slot[][],
  neighbours: ReadonlyMap<string, readonly string[]>,
  options: LayoutOptions,
): void {
  const places = new Map<string, number>();
  for (const layer of layers) spread(layer, places, options);
  for (let sweep = 0; sweep < SWEEPS; sweep += 1) {
    for (const layer of sweep % 2 === 0 ? layers : layers.toReversed()) {
      for (const slot of layer) slot.x = meanOf(neighbours.get(slot.id) ?? [], places) ?? slot.x;
      spread(layer, places, options);
    }
  }
}

/** Moves slots apart until none overlaps: halfway between all to the right and all to the left. */
function spread(layer: Slot[], places: Map<string, number>, options: LayoutOptions): void {
  const right = layer.map(({ x }) => x);
  const left = [...right];
  for (let index = 1; index < layer.length; index += 1) {
    const least = (right[index - 1] ?? 0) + distanceAt(layer, index, options);
    right[index] = Math.max(right[index] ?? 0, least);
  }
  for (let index = layer.length - 1; index > 0; index -= 1) {
    const most = (left[index] ?? 0) - distanceAt(layer, index, options);
    left[index - 1] = Math.min(left[index - 1] ?? 0, most);
  }
  for (const [index, slot] of layer.entries()) {
    slot.x = ((right[index] ?? 0) + (left[index] ?? 0)) / 2;
    places.set(slot.id, slot.x);
  }
}

/** Between the middles of a slot and the one before it. */
function distanceAt(layer: readonly Slot[], index: number, options: LayoutOptions): number {
  const pair = layer.slice(index - 1, index + 1);
  return pair.reduce((sum, slot) => sum + widthOf(slot, options) / 2, options.gap);
}

export function widthOf({ isBox }: Slot, { boxWidth, lineWidth }: LayoutOptions): number {
  return isBox ? boxWidth : lineWidth;
}

function meanOf(ids: readonly string[], places: ReadonlyMap<string, number>): number | undefined {
  if (ids.length === 0) return undefined;
  return ids.reduce((sum, id) => sum + (places.get(id) ?? 0), 0) / ids.length;
}
