import * as z from 'zod';
import { parseJson } from '../json.ts';

/** The metadata of an agent.toml key that its schema does not contain. */
interface FieldText {
  /** One sentence: what the key is for. */
  readonly purpose: string;
}

interface IntegerField extends FieldText {
  readonly default: number;
  readonly min: number;
  readonly max: number;
  /** What is counted, such as milliseconds. */
  readonly unit: string;
}

/** The accepted values of each schema, for error messages. Not part of agent.schema.json. */
export const expectedOf = z.registry<{ readonly expected: string }>();

export function integer({ min, max, unit, purpose, ...field }: IntegerField) {
  return withMetadata(z.int().min(min).max(max).default(field.default), {
    purpose: `${purpose} In ${unit}.`,
    expected: `a whole number of ${unit} from ${min} to ${max}`,
  });
}

interface OptionalNumberField extends FieldText {
  readonly min: number;
  readonly max: number;
}

/** A whole number; if absent, it is not sent or not limited. */
export function optionalInteger({ min, max, unit, purpose }: Omit<IntegerField, 'default'>) {
  return withMetadata(z.int().min(min).max(max).optional(), {
    purpose: `${purpose} In ${unit}.`,
    expected: `a whole number of ${unit} from ${min} to ${max}`,
  });
}

export function optionalNumber({ min, max, purpose }: OptionalNumberField) {
  const expected = `a number from ${min} to ${max}`;
  return withMetadata(z.number().min(min).max(max).optional(), { purpose, expected });
}

/** A ratio from 0 to 1. */
export function ratio({ purpose, ...field }: FieldText & { readonly default: number }) {
  const expected = 'a number from 0 to 1';
  return withMetadata(z.number().min(0).max(1).default(field.default), { purpose, expected });
}

export function flag({ purpose, ...field }: FieldText & { readonly default: boolean }) {
  return withMetadata(z.boolean().default(field.default), { purpose, expected: 'true or false' });
}

interface TextField extends FieldText {
  readonly default: string;
  readonly maxChars: number;
}

export function text({ maxChars, purpose, ...field }: TextField) {
  const expected = `text of 1 to ${maxChars} characters`;
  const schema = z.string().trim().min(1).max(maxChars).default(field.default);
  return withMetadata(schema, { purpose, expected });
}

export function optionalText({ maxChars, purpose }: Omit<TextField, 'default'>) {
  const expected = `text of 1 to ${maxChars} characters`;
  return withMetadata(z.string().trim().min(1).max(maxChars).optional(), { purpose, expected });
}

interface PatternField<Schema extends z.ZodType> extends FieldText {
  readonly schema: Schema;
  readonly expected: string;
}

/** A text of a certain form that must be present. */
export function pattern<Schema extends z.ZodType>(field: PatternField<Schema>): Schema {
  return withMetadata(field.schema, field);
}

export function optionalPattern<Schema extends z.ZodType>(field: PatternField<Schema>) {
  return withMetadata(field.schema.optional(), field);
}

/** The name that a file gives a section of its own. It is a part of variables and of tool names. */
export const SECTION_NAME = /^[a-z][a-z0-9]{0,23}$/;

/** A JSON object, written as text. */
export function optionalJsonObject({ maxChars, purpose }: Omit<TextField, 'default'>) {
  const expected = `a JSON object of at most ${maxChars} characters`;
  const schema = z.string().max(maxChars).refine(isJsonObject, expected).optional();
  return withMetadata(schema, { purpose, expected });
}

function isJsonObject(text: string): boolean {
  const value = parseJson(text);
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

interface ChoiceField<Choice extends string> extends FieldText {
  readonly choices: readonly [Choice, ...Choice[]];
  readonly default: NoInfer<Choice>;
}

export function choice<const Choice extends string>(field: ChoiceField<Choice>) {
  const { choices, purpose } = field;
  const schema = z.enum(choices).default(() => field.default);
  return withMetadata(schema, { purpose, expected: `one of ${choices.join(', ')}` });
}

interface ListField<Item extends z.ZodType> extends FieldText {
  readonly item: Item;
  /** What one item is, for error messages. */
  readonly expected: string;
  readonly maxItems: number;
}

/** A list that is empty by default. */
export function list<Item extends z.ZodType>(field: ListField<Item>) {
  const { item, maxItems, purpose } = field;
  const schema = z
    .array(item)
    .max(maxItems)
    .default(() => []);
  return withMetadata(schema, {
    purpose,
    expected: `a list of at most ${maxItems} items: ${field.expected}`,
  });
}

/** A DNS name, or `*.` and a DNS name for all names below it. Never an address. */
export const HOST =
  /^(?:\*\.)?(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z](?:[a-z0-9-]{0,61}[a-z0-9])?$/;

function withMetadata<Schema extends z.ZodType>(
  schema: Schema,
  { purpose, expected }: { readonly purpose: string; readonly expected: string },
): Schema {
  const described = schema.describe(purpose);
  expectedOf.add(described, { expected });
  return described;
}
