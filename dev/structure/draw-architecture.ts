import {
  layOut,
  widthOf,
  type Edge,
  type LaidOutEdge,
  type Layout,
  type Slot,
} from './layer-modules.ts';
import { moduleOf, type TreeFile } from './source-tree.ts';

/** Every module may import these, so lines to them would carry no information. */
const BASE = ['telemetry', 'errors', 'clock', 'json'];
const ROOT = 'composition-root';

const BOX = { width: 118, height: 44 };
const LAYOUT = { boxWidth: BOX.width, lineWidth: 10, gap: 18 };
const LAYER_HEIGHT = 96;
const MARGIN = 24;
/** The box of the composition root, beside all layers. */
const SIDE_WIDTH = 150;
const TITLE_HEIGHT = 56;

/** Both colour schemes: an SVG in a page follows the scheme of its reader. */
const STYLE = `
svg { font: 13px system-ui, sans-serif; }
.page { fill: #ffffff; } .text { fill: #1f2933; } .small { fill: #52606d; font-size: 11px; }
.box { fill: #eaf2fb; stroke: #0b6bcb; } .base { fill: #f1f4f7; stroke: #7b8794; }
.area { fill: none; stroke: #9aa7b4; stroke-dasharray: 2 4; }
.line { fill: none; stroke: #486581; stroke-width: 1.3; } .types { stroke-dasharray: 5 4; }
.head { fill: #486581; }
@media (prefers-color-scheme: dark) {
.page { fill: #161b22; } .text { fill: #e6edf3; } .small { fill: #9fb0c0; }
.box { fill: #14304d; stroke: #58a6ff; } .base { fill: #232b35; stroke: #8b98a5; }
.area { stroke: #56626f; } .line { stroke: #8fb3d9; } .head { fill: #8fb3d9; }
}`;

interface Dependency extends Edge {
  readonly isTypeOnly: boolean;
}

/** The modules in layers and their imports, as an SVG that is readable on light and dark pages. */
export function drawArchitecture(files: readonly TreeFile[]): string {
  const counts = countFiles(files);
  const dependencies = dependenciesOf(files);
  const nodes = [...counts.keys()].filter((name) => name !== ROOT && !BASE.includes(name));
  const drawn = dependencies.filter(({ from, to }) => nodes.includes(from) && nodes.includes(to));
  const layout = layOut(nodes.toSorted(), drawn, LAYOUT);
  const { left, width } = moveIntoView(layout);
  const height = TITLE_HEIGHT + layout.layers.length * LAYER_HEIGHT + 96;
  const right = left + width;
  const isType = new Map(drawn.map(({ from, to, isTypeOnly }) => [`${from} ${to}`, isTypeOnly]));
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${right + MARGIN} ${height}" role="img" aria-label="The modules and what they import">`,
    `<style>${STYLE}\n</style>`,
    '<defs><marker id="head" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto"><path d="M0 0 8 4 0 8z" class="head"/></marker></defs>',
    `<rect class="page" width="${right + MARGIN}" height="${height}" rx="8"/>`,
    text({
      x: MARGIN,
      y: 32,
      content: 'Modules and what they import',
      attributes: 'font-size="17" font-weight="600"',
    }),
    ...drawEdges(layout, isType),
    ...layout.layers.flatMap((layer, index) => layer.map((slot) => drawSlot(slot, index, counts))),
    ...drawRoot(layout, { left, right, counts }),
    ...drawBase(layout, { left, right, counts }),
    '</svg>\n',
  ].join('\n');
}

function countFiles(files: readonly TreeFile[]): Map<string, number> {
  const modules = Map.groupBy(files, ({ path }) => moduleOf(path));
  return new Map([...modules].map(([name, own]) => [name, own.length]));
}

/** One for each pair of modules; type-only if no import between them loads code. */
function dependenciesOf(files: readonly TreeFile[]): Dependency[] {
  const found = new Map<string, Dependency>();
  for (const { path, imports } of files) {
    for (const { target, kind } of imports) {
      if (target === undefined) continue;
      const [from, to] = [moduleOf(path), moduleOf(target)];
      if (from === to) continue;
      const isTypeOnly = kind === 'type' && found.get(`${from} ${to}`)?.isTypeOnly !== false;
      found.set(`${from} ${to}`, { from, to, isTypeOnly });
    }
  }
  return [...found.values()];
}

/** Shifts all slots to the right of the composition root; returns where the layers begin. */
function moveIntoView({ layers }: Layout): { readonly left: number; readonly width: number } {
  const slots = layers.flat();
  const least = Math.min(...slots.map((slot) => slot.x - widthOf(slot, LAYOUT) / 2));
  const most = Math.max(...slots.map((slot) => slot.x + widthOf(slot, LAYOUT) / 2));
  const left = MARGIN + SIDE_WIDTH + 40;
  for (const slot of slots) slot.x = Math.round(slot.x - least + left + 16);
  return { left, width: Math.round(most - least) + 32 };
}

function topOf(layer: number): number {
  return TITLE_HEIGHT + 16 + layer * LAYER_HEIGHT;
}

function drawSlot(slot: Slot, layer: number, counts: ReadonlyMap<string, number>): string {
  if (!slot.isBox) return '';
  return drawBox({ name: slot.id, x: slot.x, y: topOf(layer), count: counts.get(slot.id) ?? 0 });
}

interface Box {
  readonly name: string;
  readonly x: number;
  readonly y: number;
  readonly count: number;
  readonly kind?: string;
}

function drawBox({ name, x, y, count, kind = 'box' }: Box): string {
  const files = `${count} ${count === 1 ? 'file' : 'files'}`;
  return [
    `<rect class="${kind}" x="${x - BOX.width / 2}" y="${y}" width="${BOX.width}" height="${BOX.height}" rx="5"/>`,
    text({ x, y: y + 19, content: name, attributes: 'text-anchor="middle" font-weight="600"' }),
    text({ x, y: y + 35, content: files, attributes: 'text-anchor="middle"', kind: 'small' }),
  ].join('\n');
}

function drawEdges(layout: Layout, isType: ReadonlyMap<string, boolean>): string[] {
  const slots = new Map(
    layout.layers.flatMap((layer, index) => layer.map((slot) => [slot.id, { slot, index }])),
  );
  return layout.edges.map((edge) => {
    const points = edge.way.flatMap((id) => {
      const at = slots.get(id);
      return at === undefined ? [] : [{ x: at.slot.x, y: topOf(at.index), isBox: at.slot.isBox }];
    });
    const [first, ...rest] = points;
    const last = rest.at(-1);
    if (first === undefined || last === undefined) return '';
    first.x += portOf(edge, layout, { slots, end: 'from' });
    last.x += portOf(edge, layout, { slots, end: 'to' });
    let d = `M${first.x} ${first.y + BOX.height}`;
    let y = first.y + BOX.height;
    for (const point of rest) {
      const middle = (y + point.y) / 2;
      d += ` C${(points[points.indexOf(point) - 1] ?? first).x} ${middle} ${point.x} ${middle} ${point.x} ${point.y}`;
      if (!point.isBox) d += ` V${point.y + BOX.height}`;
      y = point.y + BOX.height;
    }
    const kind = isType.get(`${edge.from} ${edge.to}`) === true ? 'line types' : 'line';
    return `<path class="${kind}" d="${d}" marker-end="url(#head)"/>`;
  });
}

interface PortOptions {
  readonly slots: ReadonlyMap<string, { readonly slot: Slot }>;
  readonly end: 'from' | 'to';
}

/** Lines at one side of a box are spread over its width, in the order of their other ends. */
function portOf(edge: LaidOutEdge, layout: Layout, { slots, end }: PortOptions): number {
  const next = end === 'from' ? 1 : -2;
  const siblings = layout.edges
    .filter((other) => other[end] === edge[end])
    .toSorted((one, other) => xOf(one.way.at(next), slots) - xOf(other.way.at(next), slots));
  const step = Math.min(22, (BOX.width - 24) / siblings.length);
  return Math.round((siblings.indexOf(edge) - (siblings.length - 1) / 2) * step);
}

function xOf(id: string | undefined, slots: PortOptions['slots']): number {
  return slots.get(id ?? '')?.slot.x ?? 0;
}

interface Sides {
  readonly left: number;
  readonly right: number;
  readonly counts: ReadonlyMap<string, number>;
}

/** The composition root is beside the layers, because it imports every module. */
function drawRoot({ layers }: Layout, { left, right, counts }: Sides): string[] {
  const top = topOf(0) - 8;
  const height = layers.length * LAYER_HEIGHT - (LAYER_HEIGHT - BOX.height) + 16;
  const middle = MARGIN + SIDE_WIDTH / 2;
  const centre = top + height / 2;
  const lines = ['reads the environment,', 'creates every module', 'and connects them'];
  const functions = layers[0]?.find(({ id }) => id === 'functions');
  const below = topOf(1) - 8;
  return [
    `<rect class="area" x="${left}" y="${below}" width="${right - left}" height="${top + height - below}" rx="8"/>`,
    `<rect class="box" x="${MARGIN}" y="${top}" width="${SIDE_WIDTH}" height="${height}" rx="5"/>`,
    text({
      x: middle,
      y: centre - 28,
      content: ROOT,
      attributes: 'text-anchor="middle" font-weight="600"',
    }),
    ...[`${counts.get(ROOT) ?? 0} files`, ...lines].map((content, index) =>
      text({
        x: middle,
        y: centre - 8 + index * 16,
        content,
        attributes: 'text-anchor="middle"',
        kind: 'small',
      }),
    ),
    `<path class="line" d="M${MARGIN + SIDE_WIDTH} ${centre} H${left - 1}" marker-end="url(#head)"/>`,
    functions === undefined
      ? ''
      : `<path class="line" d="M${functions.x - BOX.width / 2} ${topOf(0) + BOX.height / 2} H${MARGIN + SIDE_WIDTH + 1}" marker-end="url(#head)"/>`,
  ];
}

/** The modules that every module may import are below all layers. */
function drawBase({ layers }: Layout, { left, right, counts }: Sides): string[] {
  const top = topOf(layers.length) - 20;
  const step = BOX.width + LAYOUT.gap;
  const first = (left + right) / 2 - ((BASE.length - 1) / 2) * step;
  return [
    ...BASE.map((name, index) =>
      drawBox({
        name,
        x: first + index * step,
        y: top,
        count: counts.get(name) ?? 0,
        kind: 'base',
      }),
    ),
    text({ x: MARGIN, y: top + 19, content: 'Every module may', kind: 'small' }),
    text({ x: MARGIN, y: top + 35, content: 'import these four.', kind: 'small' }),
    text({ x: MARGIN, y: top + 64, content: 'A dashed line imports types only.', kind: 'small' }),
  ];
}

interface Text {
  readonly x: number;
  readonly y: number;
  readonly content: string;
  readonly attributes?: string;
  readonly kind?: string;
}

function text({ x, y, content, attributes = '', kind = 'text' }: Text): string {
  return `<text class="${kind}" x="${x}" y="${y}" ${attributes}>${content}</text>`;
}
