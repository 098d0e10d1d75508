import type { Job } from './job.ts';

/** Puts a job back on its queue, to be continued by whichever instance is free. */
export interface JobSender {
  send(job: Job, options: { readonly delaySeconds: number }): Promise<void>;
}
