import { app } from '@azure/functions';
import { getService } from '../shared/composition-root.ts';
import { answerFile } from '../shared/http/files-handler.ts';
import { asHttpHandler } from '../shared/http/admission.ts';

app.http('filesGet', {
  route: 'v1/files/{id}',
  methods: ['GET'],
  authLevel: 'function',
  handler: asHttpHandler(getService, answerFile),
});
