/** A line for whoever runs azd. */
export function say(line) {
  process.stdout.write(`${line}\n`);
}

/** The value of a setting of the azd environment; undefined where it is empty. */
export function setting(name) {
  const value = (process.env[name] ?? '').trim();
  return value === '' ? undefined : value;
}

/** A setting without which the hook cannot do its work. */
export function required(name) {
  const value = setting(name);
  if (value !== undefined) return value;
  throw new Error(`Cannot continue: ${name} is not set; azd sets it, or the workflow does`);
}

export function seconds(name, fallback) {
  const value = Number(setting(name) ?? fallback);
  if (value >= 0) return value;
  throw new Error(`Cannot continue: ${name} must be a number of seconds`);
}

export function pause(milliseconds) {
  return new Promise((resolve) => {
    setTimeout(resolve, milliseconds);
  });
}

/** Ends the process with one line instead of a stack; azd stops at an exit code other than 0. */
export async function runHook(name, work) {
  try {
    await work();
  } catch (error) {
    process.stderr.write(`${name}: ${error instanceof Error ? error.message : String(error)}\n`);
    process.exitCode = 1;
  }
}
