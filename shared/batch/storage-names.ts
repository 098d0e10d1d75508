/** Queues and containers of the batch engine, as deployment, local start and triggers name them. */
export const JOB_QUEUE = 'batch-jobs';
export const POISON_QUEUE = 'batch-jobs-poison';
export const INPUT_CONTAINER = 'batch-input';
/** The folder of the input container that holds the files uploaded by callers. */
export const UPLOAD_FOLDER = 'files/';
export const RESULT_CONTAINER = 'batch-results';
