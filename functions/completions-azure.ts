import { app } from '@azure/functions';
import { getService } from '../shared/composition-root.ts';
import { chatHandler } from '../shared/http/chat-handler.ts';
import { meteredHandler } from '../shared/http/admission.ts';

// The path that clients for Azure OpenAI call; the settings of the agent name the model.
app.http('completionsAzure', {
  route: 'openai/deployments/{deployment}/chat/completions',
  methods: ['POST'],
  authLevel: 'function',
  handler: meteredHandler(getService, chatHandler('openai.chat-completions')),
});
