import { app } from '@azure/functions';
import { getService, routeAuthLevel } from '../shared/composition-root.ts';
import { chatHandler } from '../shared/http/chat-handler.ts';
import { meteredHandler } from '../shared/http/admission.ts';

app.http('chatStream', {
  route: 'api/chat/stream',
  methods: ['POST'],
  authLevel: routeAuthLevel(),
  handler: meteredHandler(getService, chatHandler('ai-chat-protocol.stream')),
});
