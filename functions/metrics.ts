import { app } from '@azure/functions';
import { getService } from '../shared/composition-root.ts';
import { answerMetrics } from '../shared/http/operations-handler.ts';
import { asOpenHandler } from '../shared/http/handler.ts';

app.http('metrics', {
  route: 'metrics',
  methods: ['GET'],
  authLevel: 'function',
  handler: asOpenHandler(getService, answerMetrics),
});
