import { app } from '@azure/functions';
import { getService, routeAuthLevel } from '../shared/composition-root.ts';
import { chatHandler } from '../shared/http/chat-handler.ts';
import { meteredHandler } from '../shared/http/admission.ts';

app.http('chat', {
  route: 'api/chat',
  methods: ['POST'],
  authLevel: routeAuthLevel(),
  handler: meteredHandler(getService, chatHandler('by-body')),
});
