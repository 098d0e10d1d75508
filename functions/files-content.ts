import { app } from '@azure/functions';
import { getService, routeAuthLevel } from '../shared/composition-root.ts';
import { handleGetFileContent } from '../shared/http/files-handler.ts';
import { authenticatedHandler } from '../shared/http/admission.ts';

app.http('filesContent', {
  route: 'v1/files/{id}/content',
  methods: ['GET'],
  authLevel: routeAuthLevel(),
  handler: authenticatedHandler(getService, handleGetFileContent),
});
