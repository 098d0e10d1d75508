import { app } from '@azure/functions';
import { getService, routeAuthLevel } from '../shared/composition-root.ts';
import { handleCountInputTokens } from '../shared/http/responses-handler.ts';
import { authenticatedHandler } from '../shared/http/admission.ts';

app.http('responsesInputTokens', {
  route: 'v1/responses/input_tokens',
  methods: ['POST'],
  authLevel: routeAuthLevel(),
  handler: authenticatedHandler(getService, handleCountInputTokens),
});
