import { app } from '@azure/functions';
import { getService, routeAuthLevel } from '../shared/composition-root.ts';
import { authenticatedHandler } from '../shared/http/admission.ts';
import { handleStopChat } from '../shared/http/background-chat.ts';

app.http('chatStop', {
  route: 'api/chat/{id}/stop',
  methods: ['POST'],
  authLevel: routeAuthLevel(),
  handler: authenticatedHandler(getService, handleStopChat),
});
