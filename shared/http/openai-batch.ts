import type { BatchView } from '../batch/api/batch-status.ts';
import { outputFileId } from '../batch/api/output-files.ts';

/** A batch in the shape that OpenAI clients read, with how its parts are beside it. */
export function toOpenAiBatch(view: BatchView) {
  const { record, status, counts, shards, final, errors } = view;
  const { id, generation } = record;
  const files = {
    output_file_id:
      counts.completed > 0 ? outputFileId({ id, kind: 'succeeded', generation }) : null,
    error_file_id: counts.failed > 0 ? outputFileId({ id, kind: 'failed', generation }) : null,
  };
  const isOver = final !== undefined;
  const endedAs = (outcome: string): number | null =>
    final?.outcome === outcome ? seconds(final.at) : null;
  return {
    id,
    object: 'batch',
    endpoint: record.endpoint,
    errors: errors.length === 0 ? null : { object: 'list', data: errors },
    input_file_id: record.inputFileId,
    completion_window: '24h',
    status,
    // Some clients take the id alone for the sign that the file is whole.
    output_file_id: isOver ? files.output_file_id : null,
    error_file_id: isOver ? files.error_file_id : null,
    created_at: seconds(Date.parse(record.createdAt)),
    in_progress_at: view.plannedAt === undefined ? null : seconds(view.plannedAt),
    expires_at: seconds(Date.parse(record.expiresAt)),
    finalizing_at: final === undefined ? null : seconds(final.at),
    completed_at: endedAs('completed'),
    failed_at: endedAs('failed'),
    expired_at: endedAs('expired'),
    cancelling_at: record.cancelledAt === null ? null : seconds(Date.parse(record.cancelledAt)),
    cancelled_at: endedAs('cancelled'),
    request_counts: counts,
    metadata: record.metadata,
    progress: { generation, shards, ...files },
  };
}

function seconds(ms: number): number {
  return Math.floor(ms / 1_000);
}
