import { app } from '@azure/functions';
import { answerHealth, withoutService } from '../shared/http/operations-handler.ts';
import { asOpenHandler } from '../shared/http/handler.ts';

app.http('health', {
  route: 'health',
  methods: ['GET'],
  authLevel: 'anonymous',
  handler: asOpenHandler(withoutService, answerHealth),
});
