import { app } from '@azure/functions';
import { getService } from '../shared/composition-root.ts';
import { azureOpenAiHandler } from '../shared/http/azure-openai-handler.ts';

app.http('azureOpenAi', {
  route: 'openai/{*path}',
  methods: ['GET', 'POST', 'DELETE'],
  authLevel: 'function',
  handler: azureOpenAiHandler(getService),
});
