import { app } from '@azure/functions';
import { getService, routeAuthLevel } from '../shared/composition-root.ts';
import { handleGetFile } from '../shared/http/files-handler.ts';
import { authenticatedHandler } from '../shared/http/admission.ts';

app.http('filesGet', {
  route: 'v1/files/{id}',
  methods: ['GET'],
  authLevel: routeAuthLevel(),
  handler: authenticatedHandler(getService, handleGetFile),
});
