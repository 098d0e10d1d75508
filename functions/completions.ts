import { app } from '@azure/functions';
import { getService } from '../shared/composition-root.ts';
import { answerCompletions } from '../shared/http/chat-handler.ts';
import { asMeteredHandler } from '../shared/http/admission.ts';

app.http('completions', {
  route: 'v1/chat/completions',
  methods: ['POST'],
  authLevel: 'function',
  handler: asMeteredHandler(getService, answerCompletions),
});
