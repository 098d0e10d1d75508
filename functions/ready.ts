import { app } from '@azure/functions';
import { getService } from '../shared/composition-root.ts';
import { answerReady } from '../shared/http/operations-handler.ts';
import { asOpenHandler } from '../shared/http/handler.ts';

app.http('ready', {
  route: 'ready',
  methods: ['GET'],
  authLevel: 'anonymous',
  handler: asOpenHandler(getService, answerReady),
});
