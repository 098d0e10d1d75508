/** Queues and containers of the batch engine. Deployment, local start and triggers use these names. */
export const JOB_QUEUE = 'batch-jobs';
export const POISON_QUEUE = 'batch-jobs-poison';
export const INPUT_CONTAINER = 'batch-input';
export const RESULT_CONTAINER = 'batch-results';
