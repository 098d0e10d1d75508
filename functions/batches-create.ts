import { app } from '@azure/functions';
import { getService, routeAuthLevel } from '../shared/composition-root.ts';
import { handleCreateBatch } from '../shared/http/batches-handler.ts';
import { authenticatedHandler } from '../shared/http/admission.ts';

app.http('batchesCreate', {
  route: 'v1/batches',
  methods: ['POST'],
  authLevel: routeAuthLevel(),
  handler: authenticatedHandler(getService, handleCreateBatch),
});
