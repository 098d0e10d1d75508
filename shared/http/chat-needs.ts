import type { Agent, Question } from '../agent/agent.ts';
import type { QuestionSize } from '../agent/measure-question.ts';
import type { CallerNeeds } from './admission.ts';

/** What every route that asks the agent needs of the service. */
export interface ChatNeeds extends CallerNeeds {
  readonly agent: Agent;
  /** How much a question asks for, before anything is asked. */
  readonly measure: (question: Question) => QuestionSize;
  readonly chatLimits: {
    readonly answerDeadlineMs: number;
    readonly streamDeadlineMs: number;
    readonly heartbeatMs: number;
  };
}
