import { app } from '@azure/functions';
import { getService } from '../shared/composition-root.ts';
import { answerFileRemoval } from '../shared/http/files-handler.ts';
import { asHttpHandler } from '../shared/http/admission.ts';

app.http('filesDelete', {
  route: 'v1/files/{id}',
  methods: ['DELETE'],
  authLevel: 'function',
  handler: asHttpHandler(getService, answerFileRemoval),
});
