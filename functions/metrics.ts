import { app } from '@azure/functions';
import { getService } from '../shared/composition-root.ts';
import { answerMetrics } from '../shared/http/answer-metrics.ts';
import { asOpenHandler } from '../shared/http/open-handler.ts';

app.http('metrics', {
  route: 'metrics',
  methods: ['GET'],
  authLevel: 'function',
  handler: asOpenHandler(getService, answerMetrics),
});
