import process from 'node:process';
import { takeCoverage } from 'node:v8';

/**
 * Preloaded into the worker: on a signal, writes what ran since the last signal to the folder in
 * NODE_V8_COVERAGE and sets the counters to zero.
 */
process.on('SIGUSR2', () => takeCoverage());
