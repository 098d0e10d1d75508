import { app } from '@azure/functions';
import { getService, routeAuthLevel } from '../shared/composition-root.ts';
import { azureOpenAiHandler } from '../shared/http/azure-openai-handler.ts';

app.http('azureOpenAi', {
  route: 'openai/{*path}',
  methods: ['GET', 'POST', 'DELETE'],
  authLevel: routeAuthLevel(),
  handler: azureOpenAiHandler(getService),
});
