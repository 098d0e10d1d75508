import process from 'node:process';
import { takeCoverage } from 'node:v8';

/**
 * Preloaded into the worker: on a signal, writes the calls since the last signal to the folder in
 * NODE_V8_COVERAGE and resets the counters.
 */
process.on('SIGUSR2', () => takeCoverage());
