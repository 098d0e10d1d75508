import { parseArgs } from 'node:util';
import { startDevelopmentModel } from './start-development-model.ts';

await main();

/** Runs the development model as a process of its own until a signal ends it. */
async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      port: { type: 'string', default: '0' },
      'token-delay-ms': { type: 'string', default: '15' },
      scale: { type: 'string', default: '1' },
    },
  });
  try {
    const model = await startDevelopmentModel({
      port: numberFrom('port', values.port),
      tokenDelayMs: numberFrom('token-delay-ms', values['token-delay-ms']),
      scale: numberFrom('scale', values.scale),
    });
    console.log(`development model: ${model.url}`);
    for (const signal of ['SIGINT', 'SIGTERM', 'disconnect'] as const) {
      process.once(signal, () => void model.stop());
    }
  } catch (error) {
    console.error(error instanceof Error ? error.message : error);
    process.exitCode = 1;
  }
}

function numberFrom(name: string, text: string): number {
  const number = Number(text);
  if (text !== '' && Number.isFinite(number) && number >= 0) return number;
  throw new RangeError(
    `Cannot start as '--${name}' must be a number that is not negative: current value is '${text}'`,
  );
}
