import { app } from '@azure/functions';
import { getService } from '../shared/composition-root.ts';
import { answerReady } from '../shared/http/answer-ready.ts';
import { asHttpHandler } from '../shared/http/pipeline.ts';

app.http('healthReady', {
  route: 'health/ready',
  methods: ['GET'],
  authLevel: 'anonymous',
  handler: asHttpHandler(getService, answerReady),
});
