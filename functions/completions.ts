import { app } from '@azure/functions';
import { getService, routeAuthLevel } from '../shared/composition-root.ts';
import { chatHandler } from '../shared/http/chat-handler.ts';
import { meteredHandler } from '../shared/http/admission.ts';

app.http('completions', {
  route: 'v1/chat/completions',
  methods: ['POST'],
  authLevel: routeAuthLevel(),
  handler: meteredHandler(getService, chatHandler('openai.chat-completions')),
});
