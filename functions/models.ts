import { app } from '@azure/functions';
import { getService } from '../shared/composition-root.ts';
import { answerModels } from '../shared/http/operations-handler.ts';
import { asHttpHandler } from '../shared/http/admission.ts';

app.http('models', {
  route: 'v1/models',
  methods: ['GET'],
  authLevel: 'function',
  handler: asHttpHandler(getService, answerModels),
});
