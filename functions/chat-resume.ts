import { app } from '@azure/functions';
import { getService, routeAuthLevel } from '../shared/composition-root.ts';
import { authenticatedHandler } from '../shared/http/admission.ts';
import { handleResumeChat } from '../shared/http/background-chat.ts';

app.http('chatResume', {
  route: 'api/chat/{id}/stream',
  methods: ['GET'],
  authLevel: routeAuthLevel(),
  handler: authenticatedHandler(getService, handleResumeChat),
});
