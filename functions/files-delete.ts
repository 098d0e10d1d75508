import { app } from '@azure/functions';
import { getService, routeAuthLevel } from '../shared/composition-root.ts';
import { handleDeleteFile } from '../shared/http/files-handler.ts';
import { authenticatedHandler } from '../shared/http/admission.ts';

app.http('filesDelete', {
  route: 'v1/files/{id}',
  methods: ['DELETE'],
  authLevel: routeAuthLevel(),
  handler: authenticatedHandler(getService, handleDeleteFile),
});
