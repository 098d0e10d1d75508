type Check = (value: string) => boolean;

const INTEGER = /^[+-]?\d+$/;
const NUMBER = /^[+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?$/i;
const GUID =
  /^(?:[0-9a-f]{32}|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}|\{[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\}|\([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\))$/i;
const INT_LIMIT = 2n ** 31n;
const LONG_LIMIT = 2n ** 63n;

/** How each constraint of a route template checks a value, given the text in its parentheses. */
const CONSTRAINTS: Readonly<Record<string, (argument: string) => Check>> = {
  int: () => (value) => isIntegerWithin(value, INT_LIMIT),
  long: () => (value) => isIntegerWithin(value, LONG_LIMIT),
  bool: () => (value) => /^(?:true|false)$/i.test(value),
  alpha: () => (value) => /^[a-z]*$/i.test(value),
  guid: () => (value) => GUID.test(value),
  decimal: () => (value) => NUMBER.test(value) && !/e/i.test(value),
  double: () => (value) => NUMBER.test(value),
  float: () => (value) => NUMBER.test(value),
  datetime: () => (value) => !Number.isNaN(Date.parse(value)),
  min: (argument) => (value) =>
    isIntegerWithin(value, LONG_LIMIT) && BigInt(value) >= BigInt(argument),
  max: (argument) => (value) =>
    isIntegerWithin(value, LONG_LIMIT) && BigInt(value) <= BigInt(argument),
  range: (argument) => {
    const [low = '', high = ''] = argument.split(',').map((part) => part.trim());
    return (value) =>
      isIntegerWithin(value, LONG_LIMIT) &&
      BigInt(value) >= BigInt(low) &&
      BigInt(value) <= BigInt(high);
  },
  minlength: (argument) => (value) => value.length >= Number(argument),
  maxlength: (argument) => (value) => value.length <= Number(argument),
  length: (argument) => {
    const [low = 0, high = low] = argument.split(',').map(Number);
    return (value) => value.length >= low && value.length <= high;
  },
  // As the platform: letter case does not matter, and the pattern may match anywhere.
  regex: (argument) => {
    const pattern = new RegExp(argument, 'i');
    return (value) => pattern.test(value);
  },
  required: () => (value) => value !== '',
};

/** Builds the check for one constraint of a template, such as `int` or `min(1)`. */
export function parseConstraint(text: string): Check {
  const [, name = '', , argument = ''] = /^([^(]*)(\((.*)\))?$/s.exec(text) ?? [];
  const create = CONSTRAINTS[name.toLowerCase()];
  if (create === undefined) throw new Error(`the constraint '${text}' is unknown`);
  return create(argument);
}

function isIntegerWithin(value: string, limit: bigint): boolean {
  if (!INTEGER.test(value)) return false;
  const number = BigInt(value.replace(/^\+/, ''));
  return number >= -limit && number < limit;
}
