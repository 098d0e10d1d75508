import { app } from '@azure/functions';
import { getService } from '../shared/composition-root.ts';
import { answerBatch } from '../shared/http/answer-batches.ts';
import { asHttpHandler } from '../shared/http/pipeline.ts';

app.http('batchesGet', {
  route: 'v1/batches/{id}',
  methods: ['GET'],
  authLevel: 'function',
  handler: asHttpHandler(getService, answerBatch),
});
