import { app } from '@azure/functions';
import { getService } from '../shared/composition-root.ts';
import { handleListModels } from '../shared/http/operations-handler.ts';
import { authenticatedHandler } from '../shared/http/admission.ts';

app.http('models', {
  route: 'v1/models',
  methods: ['GET'],
  authLevel: 'function',
  handler: authenticatedHandler(getService, handleListModels),
});
