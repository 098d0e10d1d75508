import { app } from '@azure/functions';
import { getService, routeAuthLevel } from '../shared/composition-root.ts';
import { handleGetBatch } from '../shared/http/batches-handler.ts';
import { authenticatedHandler } from '../shared/http/admission.ts';

app.http('batchesGet', {
  route: 'v1/batches/{id}',
  methods: ['GET'],
  authLevel: routeAuthLevel(),
  handler: authenticatedHandler(getService, handleGetBatch),
});
