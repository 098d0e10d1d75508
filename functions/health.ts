import { app } from '@azure/functions';
import { handleHealth, withoutService } from '../shared/http/operations-handler.ts';
import { publicHandler } from '../shared/http/handler.ts';

app.http('health', {
  route: 'health',
  methods: ['GET'],
  authLevel: 'anonymous',
  handler: publicHandler(withoutService, handleHealth),
});
