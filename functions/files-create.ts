import { app } from '@azure/functions';
import { getService, routeAuthLevel } from '../shared/composition-root.ts';
import { handleUploadFile } from '../shared/http/files-handler.ts';
import { authenticatedHandler } from '../shared/http/admission.ts';

app.http('filesCreate', {
  route: 'v1/files',
  methods: ['POST'],
  authLevel: routeAuthLevel(),
  handler: authenticatedHandler(getService, handleUploadFile),
});
