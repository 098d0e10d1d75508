import { app } from '@azure/functions';
import { getService } from '../shared/composition-root.ts';
import { handleUploadFile } from '../shared/http/files-handler.ts';
import { authenticatedHandler } from '../shared/http/admission.ts';

app.http('filesCreate', {
  route: 'v1/files',
  methods: ['POST'],
  authLevel: 'function',
  handler: authenticatedHandler(getService, handleUploadFile),
});
