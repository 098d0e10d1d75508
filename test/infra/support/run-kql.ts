import * as z from 'zod';
import { parseKql, type KqlNode } from './kql.ts';

/** A row of a table, by column. Times are Date objects, `dynamic` columns are objects. */
export type Row = Readonly<Record<string, unknown>>;
export type Tables = Readonly<Record<string, readonly Row[]>>;

/**
 * Runs a query over rows. Covers the operators and functions that the queries of this project use,
 * by the tree of Microsoft's parser.
 * @throws Error that names an operator or a function which it does not know
 */
export function runKql(query: string, options: { tables: Tables; now: Date }): readonly Row[] {
  const scope: Scope = { now: options.now, names: new Map(Object.entries(options.tables)) };
  const statements = elementsOf(childOf(parseKql(query), 1));
  let result: unknown = [];
  for (const statement of statements) {
    if (statement.kind === 'LetStatement') {
      const [, name, , value] = statement.children;
      scope.names.set(textOf(name), evaluate(value, scope));
    } else {
      result = evaluate(childOf(statement, 0), scope);
    }
  }
  return toRows(result);
}

interface Scope {
  readonly now: Date;
  /** Tables, and what `let` names. */
  readonly names: Map<string, unknown>;
  readonly row?: Row;
  /** The rows that an aggregate function reads. */
  readonly group?: readonly Row[];
}

type Evaluate = (node: KqlNode, scope: Scope) => unknown;

function childOf(node: KqlNode | undefined, index: number): KqlNode {
  const child = node?.children[index];
  if (child === undefined) throw new Error(`KQL: ${node?.kind ?? 'nothing'} has no part ${index}`);
  return child;
}

/** The elements of a list with separators. */
function elementsOf(list: KqlNode): readonly KqlNode[] {
  return list.children.map((child) => childOf(child, 0));
}

function textOf(node: KqlNode | undefined): string {
  if (node === undefined) return '';
  return node.children.length === 0 ? node.text : node.children.map(textOf).join('');
}

function toRows(value: unknown): readonly Row[] {
  return z.array(z.record(z.string(), z.unknown())).parse(value);
}

function evaluate(node: KqlNode | undefined, scope: Scope): unknown {
  if (node === undefined) throw new Error('KQL: an expression is missing');
  const known = EXPRESSIONS[node.kind];
  if (known === undefined) throw new Error(`KQL: ${node.kind} is not supported`);
  return known(node, scope);
}

const NUMBER = /^[\d.]+/;
const UNIT_MS: Readonly<Record<string, number>> = { s: 1e3, m: 6e4, h: 36e5, d: 864e5 };

function binary(compare: (left: unknown, right: unknown) => unknown): Evaluate {
  return (node, scope) =>
    compare(evaluate(childOf(node, 0), scope), evaluate(childOf(node, 2), scope));
}

function number(value: unknown): number {
  if (value === null || value === undefined || value === '') return Number.NaN;
  return Number(value);
}

/** Text as KQL compares it: nothing is the empty text. */
function text(value: unknown): string {
  if (value === null || value === undefined) return '';
  return typeof value === 'string' ? value : JSON.stringify(value);
}

/** Whether a term of the text equals the word: terms are runs of letters and digits. */
function has(value: unknown, word: unknown): boolean {
  const escaped = text(word).replaceAll(/[.*+?^${}()|[\]\\]/g, String.raw`\$&`);
  return new RegExp(`(?<![\\p{L}\\d])${escaped}(?![\\p{L}\\d])`, 'iu').test(text(value));
}

function isEqual(left: unknown, right: unknown): boolean {
  return typeof left === 'number' || typeof right === 'number'
    ? number(left) === number(right)
    : text(left) === text(right);
}

const sameText = (left: unknown, right: unknown): boolean =>
  text(left).toLowerCase() === text(right).toLowerCase();

function anyOf(matches: (left: unknown, right: unknown) => boolean): Evaluate {
  return (node, scope) => {
    const left = evaluate(childOf(node, 0), scope);
    return elementsOf(childOf(childOf(node, 2), 1)).some((one) =>
      matches(left, evaluate(one, scope)),
    );
  };
}

const EXPRESSIONS: Readonly<Record<string, Evaluate>> = {
  PipeExpression(node, scope) {
    const rows = toRows(evaluate(childOf(node, 0), scope));
    const operator = childOf(node, 2);
    const run = OPERATORS[operator.kind];
    if (run === undefined) throw new Error(`KQL: ${operator.kind} is not supported`);
    return run(operator, { rows, scope });
  },
  NameReference(node, { row, names }) {
    const name = textOf(node);
    return row !== undefined && name in row ? row[name] : names.get(name);
  },
  ToScalarExpression(node, scope) {
    const value = evaluate(node.children.at(-2), scope);
    return Array.isArray(value) ? Object.values(toRows(value)[0] ?? {})[0] : value;
  },
  ParenthesizedExpression: (node, scope) => evaluate(childOf(node, 1), scope),
  UnionOperator: (node, scope) =>
    elementsOf(childOf(node, 2)).flatMap((one) => toRows(evaluate(one, scope) ?? [])),
  PrintOperator: (node, scope) => [Object.fromEntries(columnsOf(childOf(node, 1), scope))],
  DataTableExpression: () => [],
  StringLiteralExpression: (node) => textOf(node).slice(1, -1),
  LongLiteralExpression: (node) => Number(textOf(node)),
  RealLiteralExpression: (node) => Number(textOf(node)),
  TimespanLiteralExpression(node) {
    const literal = textOf(node);
    const unit = UNIT_MS[literal.replace(NUMBER, '')] ?? Number.NaN;
    return Number(NUMBER.exec(literal)?.[0]) * unit;
  },
  ElementExpression(node, scope) {
    const bag = z.record(z.string(), z.unknown()).safeParse(evaluate(childOf(node, 0), scope));
    const key = evaluate(childOf(childOf(node, 1), 1), scope);
    return bag.data?.[text(key)];
  },
  FunctionCallExpression(node, scope) {
    const name = textOf(childOf(node, 0));
    const call = AGGREGATES[name] ?? FUNCTIONS[name];
    if (call === undefined) throw new Error(`KQL: ${name}() is not supported`);
    const parts = elementsOf(childOf(childOf(node, 1), 1));
    return call({
      scope,
      argument: (index) => childOf({ kind: name, text: '', children: parts }, index),
      count: parts.length,
    });
  },
  AndExpression: binary((left, right) => Boolean(left) && Boolean(right)),
  OrExpression: binary((left, right) => Boolean(left) || Boolean(right)),
  EqualExpression: binary(isEqual),
  NotEqualExpression: binary((left, right) => !isEqual(left, right)),
  EqualTildeExpression: binary(sameText),
  BangTildeExpression: binary((left, right) => !sameText(left, right)),
  StartsWithExpression: binary((left, right) =>
    text(left).toLowerCase().startsWith(text(right).toLowerCase()),
  ),
  HasExpression: binary(has),
  NotHasExpression: binary((left, right) => !has(left, right)),
  HasAnyExpression: anyOf(has),
  InExpression: anyOf(isEqual),
  ContainsExpression: binary((left, right) =>
    text(left).toLowerCase().includes(text(right).toLowerCase()),
  ),
  GreaterThanExpression: binary((left, right) => number(left) > number(right)),
  GreaterThanOrEqualExpression: binary((left, right) => number(left) >= number(right)),
  LessThanExpression: binary((left, right) => number(left) < number(right)),
  AddExpression: binary((left, right) => number(left) + number(right)),
  MultiplyExpression: binary((left, right) => number(left) * number(right)),
  DivideExpression: binary((left, right) => number(left) / number(right)),
};

interface Call {
  readonly scope: Scope;
  readonly argument: (index: number) => KqlNode;
  readonly count: number;
}

function valueOf({ scope, argument }: Call, index = 0): unknown {
  return evaluate(argument(index), scope);
}

const FUNCTIONS: Readonly<Record<string, (call: Call) => unknown>> = {
  tostring: (call) => text(valueOf(call)),
  toint: (call) => Math.trunc(number(valueOf(call))),
  isempty: (call) => text(valueOf(call)) === '',
  isnotempty: (call) => text(valueOf(call)) !== '',
  iff: (call) => valueOf(call, valueOf(call) ? 1 : 2),
  ago: (call) => new Date(call.scope.now.getTime() - number(valueOf(call))),
  bin: (call) =>
    Math.floor(number(valueOf(call)) / number(valueOf(call, 1))) * number(valueOf(call, 1)),
  max_of: (call) => Math.max(number(valueOf(call)), number(valueOf(call, 1))),
  strcat: (call) =>
    Array.from({ length: call.count }, (_, index) => text(valueOf(call, index))).join(''),
  coalesce(call) {
    const first = valueOf(call);
    return first === undefined || first === null || Number.isNaN(first) ? valueOf(call, 1) : first;
  },
};

/** The value of an argument in each row of the group. */
function column({ scope, argument }: Call, index = 0): readonly unknown[] {
  return (scope.group ?? []).map((row) => evaluate(argument(index), { ...scope, row }));
}

function numbers(call: Call, index = 0): readonly number[] {
  return column(call, index).map(number).filter(Number.isFinite);
}

const total = (values: readonly number[]): number => values.reduce((sum, value) => sum + value, 0);

const AGGREGATES: Readonly<Record<string, (call: Call) => unknown>> = {
  count: ({ scope }) => scope.group?.length ?? 0,
  countif: (call) => column(call).filter(Boolean).length,
  sum: (call) => total(numbers(call)),
  sumif(call) {
    const chosen = column(call, 1);
    return total(column(call).map((value, index) => (chosen[index] ? number(value) : 0)));
  },
  max: (call) => (numbers(call).length === 0 ? undefined : Math.max(...numbers(call))),
  dcount: (call) => new Set(column(call).map(text)).size,
  /** The smallest value whose weight, with that of all smaller ones, reaches the percentage. */
  percentilew(call) {
    const weights = numbers(call, 1);
    const pairs = numbers(call).map((value, index) => ({ value, weight: weights[index] ?? 0 }));
    pairs.sort((a, b) => a.value - b.value);
    const wanted = (total(weights) * number(valueOf(call, 2))) / 100;
    let reached = 0;
    return pairs.find(({ weight }) => (reached += weight) >= wanted)?.value;
  },
};

/** Named columns of a list: `name = expression`, or a column by its own name. */
function columnsOf(list: KqlNode, scope: Scope): [string, unknown][] {
  return elementsOf(list).map((element) =>
    element.kind === 'SimpleNamedExpression'
      ? [textOf(childOf(element, 0)), evaluate(childOf(element, 2), scope)]
      : [textOf(element), evaluate(element, scope)],
  );
}

interface Input {
  readonly rows: readonly Row[];
  readonly scope: Scope;
}

const OPERATORS: Readonly<Record<string, (node: KqlNode, input: Input) => readonly Row[]>> = {
  FilterOperator: (node, { rows, scope }) =>
    rows.filter((row) => Boolean(evaluate(childOf(node, 2), { ...scope, row }))),
  ExtendOperator: (node, { rows, scope }) =>
    rows.map((row) => ({
      ...row,
      ...Object.fromEntries(columnsOf(childOf(node, 1), { ...scope, row })),
    })),
  ProjectOperator: (node, { rows, scope }) =>
    rows.map((row) => Object.fromEntries(columnsOf(childOf(node, 1), { ...scope, row }))),
  CountOperator: (_node, { rows }) => [{ Count: rows.length }],
  SortOperator: (_node, { rows }) => rows,
  SummarizeOperator(node, { rows, scope }) {
    const by = node.children.find(({ kind }) => kind === 'SummarizeByClause');
    const groups = new Map<string, { keys: Row; group: Row[] }>();
    if (by === undefined) groups.set('', { keys: {}, group: [...rows] });
    for (const row of by === undefined ? [] : rows) {
      const keys = Object.fromEntries(columnsOf(childOf(by, 1), { ...scope, row }));
      const id = JSON.stringify(keys);
      const found = groups.get(id) ?? { keys, group: [] };
      found.group.push(row);
      groups.set(id, found);
    }
    return [...groups.values()].map(({ keys, group }) =>
      Object.fromEntries([
        ...Object.entries(keys),
        ...columnsOf(childOf(node, 2), { ...scope, group }),
      ]),
    );
  },
  JoinOperator(node, { rows, scope }) {
    if (!textOf(childOf(node, 1)).endsWith('leftanti')) throw new Error('KQL: only leftanti joins');
    const others = toRows(evaluate(childOf(node, 2), scope));
    const key = textOf(childOf(childOf(node, 3), 1));
    const found = new Set(others.map((row) => text(row[key])));
    return rows.filter((row) => !found.has(text(row[key])));
  },
};
