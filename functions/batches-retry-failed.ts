import { app } from '@azure/functions';
import { getService, routeAuthLevel } from '../shared/composition-root.ts';
import { handleRetryBatch } from '../shared/http/batches-handler.ts';
import { authenticatedHandler } from '../shared/http/admission.ts';

app.http('batchesRetryFailed', {
  route: 'v1/batches/{id}/retry-failed',
  methods: ['POST'],
  authLevel: routeAuthLevel(),
  handler: authenticatedHandler(getService, handleRetryBatch),
});
