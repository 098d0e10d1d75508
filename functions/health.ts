import { app } from '@azure/functions';
import { answerHealth, withoutService } from '../shared/http/answer-health.ts';
import { asHttpHandler } from '../shared/http/pipeline.ts';

app.http('health', {
  route: 'health',
  methods: ['GET'],
  authLevel: 'anonymous',
  handler: asHttpHandler(withoutService, answerHealth),
});
