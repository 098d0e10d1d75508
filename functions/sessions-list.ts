import { app } from '@azure/functions';
import { getService, routeAuthLevel } from '../shared/composition-root.ts';
import { handleListSessions } from '../shared/http/sessions-handler.ts';
import { authenticatedHandler } from '../shared/http/admission.ts';

app.http('sessionsList', {
  route: 'api/sessions',
  methods: ['GET'],
  authLevel: routeAuthLevel(),
  handler: authenticatedHandler(getService, handleListSessions),
});
