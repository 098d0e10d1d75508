import type { AgentInput, RunContext } from '../../agent/agent.ts';
import { ServiceError } from '../../errors.ts';
import { raceAbort } from '../../resilience/abort.ts';

/** The tokens that were reserved for the run of one item. */
export interface BudgetedRun {
  /** What the agent reports while it runs. */
  readonly hooks: Pick<RunContext, 'reserveStep' | 'onStepEnd' | 'onPartialUsage'>;
  /** Corrects the reservation to the usage. Call it exactly once, however the run ends. */
  settle(): Promise<void>;
}

/** The daily token budgets of batch owners, which they share with their chats. */
export interface OwnerBudgets {
  /**
   * Reserves the tokens that a run may use. Jobs without an owner share one budget.
   * @throws ServiceError budget_exhausted, or context_too_long if the run can never fit
   */
  reserve(owner: string | null, input: AgentInput): Promise<BudgetedRun>;
}

/** What became of the reservation for one item. */
export type ItemReservation =
  | { readonly kind: 'reserved'; readonly run: BudgetedRun }
  | ExhaustedBudget;

/** The daily budget of the owner does not cover the item now. */
export interface ExhaustedBudget {
  readonly kind: 'budget exhausted';
  readonly retryAfterSeconds: number;
  /**
   * Resolves when a running item of the owner settles, which may return tokens, or when the signal
   * aborts. Undefined if none is running, so waiting here cannot help.
   */
  readonly nextSettlement: ((signal: AbortSignal) => Promise<void>) | undefined;
}

export interface ItemBudgets {
  /** @throws ServiceError context_too_long if the item can never fit */
  reserve(owner: string | null, input: AgentInput): Promise<ItemReservation>;
}

/** The items of one owner in this process that hold a reservation. */
interface OwnerRuns {
  running: number;
  /** Replaced at each settlement. */
  settlement: PromiseWithResolvers<void>;
}

/** Until the budget is checked again, where its end is not known. */
export const BUDGET_RETRY_SECONDS = 60;

/**
 * Adds which items of an owner are running. Each of them reserved more than it will use, so a refusal
 * means an exhausted budget only if none of them runs.
 */
export function withRunningItems(budgets: OwnerBudgets): ItemBudgets {
  const owners = new Map<string | null, OwnerRuns>();

  function track(owner: string | null, run: BudgetedRun): BudgetedRun {
    const runs = owners.get(owner) ?? { running: 0, settlement: Promise.withResolvers<void>() };
    owners.set(owner, runs);
    runs.running += 1;
    return {
      ...run,
      async settle() {
        await run.settle();
        runs.running -= 1;
        if (runs.running === 0) owners.delete(owner);
        runs.settlement.resolve();
        runs.settlement = Promise.withResolvers<void>();
      },
    };
  }

  return {
    async reserve(owner, input) {
      // Read before the attempt: an item that settles meanwhile may be the one that was in the way.
      const settlement = owners.get(owner)?.settlement.promise;
      try {
        return { kind: 'reserved', run: track(owner, await budgets.reserve(owner, input)) };
      } catch (error) {
        if (!(error instanceof ServiceError) || error.code !== 'budget_exhausted') throw error;
        const pending = settlement ?? owners.get(owner)?.settlement.promise;
        return {
          kind: 'budget exhausted',
          retryAfterSeconds: error.retryAfterSeconds ?? BUDGET_RETRY_SECONDS,
          nextSettlement:
            pending && ((signal) => raceAbort(pending, signal).catch(() => undefined)),
        };
      }
    },
  };
}

/** Without budgets every run is allowed. */
export const UNLIMITED_BUDGETS: OwnerBudgets = {
  reserve: async () => ({ hooks: {}, settle: async () => undefined }),
};
