/** Queues and containers of the batch engine, as deployment, local start and triggers name them. */
export const JOB_QUEUE = 'batch-jobs';
export const POISON_QUEUE = 'batch-jobs-poison';
export const INPUT_CONTAINER = 'batch-input';
export const RESULT_CONTAINER = 'batch-results';
