/** Bars of one unit, drawn as one panel. */
export interface Panel {
  readonly title: string;
  readonly unit: string;
  readonly bars: readonly { readonly label: string; readonly value: number }[];
}

const WIDTH = 760;
const LEFT = 150;
const RIGHT = 90;
const BAR = 22;
const GAP = 12;
const HEAD = 44;
const FOOT = 44;
const TICKS = 4;
const OWN_COLOUR = '#0b6bcb';
const OTHER_COLOUR = '#9aa7b4';
/** What does not run this app. */
const OTHERS = /^(?:minimum|pass-through|upstream|portkey|baseline)/;

/** Draws the panels below one another as an SVG that is readable on light and dark pages. */
export function drawPlot(title: string, panels: readonly Panel[]): string {
  let top = 56;
  const parts: string[] = [];
  for (const panel of panels) {
    parts.push(drawPanel(panel, top));
    top += heightOf(panel);
  }
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${top}" role="img" aria-label="${escape(title)}" font-family="system-ui, sans-serif" font-size="13">`,
    `<rect width="${WIDTH}" height="${top}" rx="8" fill="#ffffff"/>`,
    text({ x: 20, y: 34, content: title, attributes: 'font-size="18" font-weight="600"' }),
    ...parts,
    '</svg>\n',
  ].join('\n');
}

function heightOf({ bars }: Panel): number {
  return HEAD + bars.length * (BAR + GAP) + FOOT;
}

function drawPanel({ title, unit, bars }: Panel, top: number): string {
  const plotWidth = WIDTH - LEFT - RIGHT;
  const step = niceStep(Math.max(...bars.map(({ value }) => value)) / TICKS);
  const most = step * Math.ceil(Math.max(...bars.map(({ value }) => value)) / step);
  const bottom = top + HEAD + bars.length * (BAR + GAP);
  const ticks = Array.from({ length: Math.round(most / step) + 1 }, (_, index) => index * step);
  return [
    text({ x: 20, y: top + 24, content: title, attributes: 'font-weight="600"' }),
    ...ticks.map((value) => {
      const x = LEFT + (value / most) * plotWidth;
      const label = text({ x, y: bottom + 14, content: format(value), attributes: CENTRED });
      return `<line x1="${x}" x2="${x}" y1="${top + HEAD - 6}" y2="${bottom}" stroke="#e3e8ee"/>\n${label}`;
    }),
    text({ x: LEFT + plotWidth / 2, y: bottom + 32, content: unit, attributes: CENTRED }),
    ...bars.map(({ label, value }, index) => {
      const y = top + HEAD + index * (BAR + GAP);
      const width = Math.max(1, (value / most) * plotWidth);
      const middle = y + BAR / 2 + 4;
      return [
        text({ x: LEFT - 10, y: middle, content: label, attributes: 'text-anchor="end"' }),
        `<rect x="${LEFT}" y="${y}" width="${width.toFixed(1)}" height="${BAR}" rx="3" fill="${OTHERS.test(label) ? OTHER_COLOUR : OWN_COLOUR}"/>`,
        text({ x: LEFT + width + 8, y: middle, content: format(value) }),
      ].join('\n');
    }),
  ].join('\n');
}

const CENTRED = 'text-anchor="middle" fill-opacity="0.7"';

interface Text {
  readonly x: number;
  readonly y: number;
  readonly content: string;
  readonly attributes?: string;
}

function text({ x, y, content, attributes = '' }: Text): string {
  return `<text x="${x.toFixed(1)}" y="${y}" fill="#1f2933" ${attributes}>${escape(content)}</text>`;
}

/** The next of 1, 2 and 5 times a power of ten. */
function niceStep(least: number): number {
  const power = 10 ** Math.floor(Math.log10(least));
  return power * ([1, 2, 5, 10].find((factor) => factor * power >= least) ?? 10);
}

function format(value: number): string {
  if (value >= 100 || Number.isInteger(value)) return Math.round(value).toLocaleString('en');
  return value.toFixed(2);
}

function escape(content: string): string {
  return content.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('"', '&quot;');
}
