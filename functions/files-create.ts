import { app } from '@azure/functions';
import { getService } from '../shared/composition-root.ts';
import { answerFileUpload } from '../shared/http/files-handler.ts';
import { asHttpHandler } from '../shared/http/admission.ts';

app.http('filesCreate', {
  route: 'v1/files',
  methods: ['POST'],
  authLevel: 'function',
  handler: asHttpHandler(getService, answerFileUpload),
});
