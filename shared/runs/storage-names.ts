/** Queues and container of stored runs, as deployment, local start and triggers name them. */
export const RUN_QUEUE = 'agent-runs';
export const RUN_POISON_QUEUE = 'agent-runs-poison';
export const RUN_CONTAINER = 'agent-runs';
