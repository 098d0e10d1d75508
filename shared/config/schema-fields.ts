import * as z from 'zod';

/** What a key of agent.toml says of itself, beside what its schema already knows. */
interface FieldText {
  /** One sentence of what for. */
  readonly purpose: string;
}

interface IntegerField extends FieldText {
  readonly default: number;
  readonly min: number;
  readonly max: number;
  /** What is counted, such as milliseconds. */
  readonly unit: string;
}

/** What would be accepted, for the message about a value that is not. Kept out of the schema file. */
export const expectedOf = z.registry<{ readonly wanted: string }>();

export function integer({ min, max, unit, purpose, ...field }: IntegerField) {
  const wanted = `a whole number of ${unit} from ${min} to ${max}`;
  return described(z.int().min(min).max(max).default(field.default), {
    purpose: `${purpose} In ${unit}.`,
    wanted,
  });
}

interface OptionalNumberField extends FieldText {
  readonly min: number;
  readonly max: number;
}

/** A whole number that is not sent or not limited when it is absent. */
export function optionalInteger({ min, max, unit, purpose }: Omit<IntegerField, 'default'>) {
  const wanted = `a whole number of ${unit} from ${min} to ${max}`;
  return described(z.int().min(min).max(max).optional(), {
    purpose: `${purpose} In ${unit}.`,
    wanted,
  });
}

export function optionalNumber({ min, max, purpose }: OptionalNumberField) {
  const wanted = `a number from ${min} to ${max}`;
  return described(z.number().min(min).max(max).optional(), { purpose, wanted });
}

/** A share of a whole, from 0 to 1. */
export function ratio({ purpose, ...field }: FieldText & { readonly default: number }) {
  const wanted = 'a number from 0 to 1';
  return described(z.number().min(0).max(1).default(field.default), { purpose, wanted });
}

/** Something that holds or does not. */
export function flag({ purpose, ...field }: FieldText & { readonly default: boolean }) {
  return described(z.boolean().default(field.default), { purpose, wanted: 'true or false' });
}

interface TextField extends FieldText {
  readonly default: string;
  readonly maxChars: number;
}

export function text({ maxChars, purpose, ...field }: TextField) {
  const wanted = `text of 1 to ${maxChars} characters`;
  const schema = z.string().trim().min(1).max(maxChars).default(field.default);
  return described(schema, { purpose, wanted });
}

interface ChoiceField<Choice extends string> extends FieldText {
  readonly choices: readonly [Choice, ...Choice[]];
  readonly default: NoInfer<Choice>;
}

export function choice<const Choice extends string>(field: ChoiceField<Choice>) {
  const { choices, purpose } = field;
  const schema = z.enum(choices).default(() => field.default);
  return described(schema, { purpose, wanted: `one of ${choices.join(', ')}` });
}

function described<Schema extends z.ZodType>(
  schema: Schema,
  { purpose, wanted }: { readonly purpose: string; readonly wanted: string },
): Schema {
  const withText = schema.describe(purpose);
  expectedOf.add(withText, { wanted });
  return withText;
}
