import type { Job } from './job-message.ts';

/** Puts a job on its queue, to be taken by whichever instance is free. */
export interface JobSender {
  send(job: Job, options: { readonly delaySeconds: number }): Promise<void>;
}
