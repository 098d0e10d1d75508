import { app } from '@azure/functions';
import { getService, routeAuthLevel } from '../shared/composition-root.ts';
import { handleListFiles } from '../shared/http/files-handler.ts';
import { authenticatedHandler } from '../shared/http/admission.ts';

app.http('filesList', {
  route: 'v1/files',
  methods: ['GET'],
  authLevel: routeAuthLevel(),
  handler: authenticatedHandler(getService, handleListFiles),
});
