import { app } from '@azure/functions';
import { getService } from '../shared/composition-root.ts';
import { handleListFiles } from '../shared/http/files-handler.ts';
import { authenticatedHandler } from '../shared/http/admission.ts';

app.http('filesList', {
  route: 'v1/files',
  methods: ['GET'],
  authLevel: 'function',
  handler: authenticatedHandler(getService, handleListFiles),
});
