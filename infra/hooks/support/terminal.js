/** Prints a line on standard output. */
export function log(line) {
  process.stdout.write(`${line}\n`);
}

/** The value of an environment variable; undefined if it is empty. */
export function setting(name) {
  const value = (process.env[name] ?? '').trim();
  return value === '' ? undefined : value;
}

/** The value of a setting that the hook needs. @throws Error when it is not set */
export function required(name) {
  const value = setting(name);
  if (value !== undefined) return value;
  throw new Error(`Cannot continue: ${name} is not set; azd sets it, or the workflow does`);
}

export function seconds(name, fallback) {
  const value = Number(setting(name) ?? fallback);
  if (value >= 0) return value;
  throw new Error(`Cannot continue: ${name} must be a number, 0 or more`);
}

export function delay(milliseconds) {
  return new Promise((resolve) => {
    setTimeout(resolve, milliseconds);
  });
}

/** Runs a hook. A failure prints one line without a stack and sets exit code 1, at which azd stops. */
export async function runHook(name, work) {
  try {
    await work();
  } catch (error) {
    process.stderr.write(`${name}: ${error instanceof Error ? error.message : String(error)}\n`);
    process.exitCode = 1;
  }
}
