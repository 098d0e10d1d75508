import { app } from '@azure/functions';
import { getService } from '../shared/composition-root.ts';
import { answerFileContent } from '../shared/http/files-handler.ts';
import { asHttpHandler } from '../shared/http/admission.ts';

app.http('filesContent', {
  route: 'v1/files/{id}/content',
  methods: ['GET'],
  authLevel: 'function',
  handler: asHttpHandler(getService, answerFileContent),
});
