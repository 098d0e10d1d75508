import { app } from '@azure/functions';
import { getService } from '../shared/composition-root.ts';
import { answerChat } from '../shared/http/answer-chat.ts';
import { asMeteredHandler } from '../shared/http/admission.ts';

app.http('chat', {
  route: 'api/chat',
  methods: ['POST'],
  authLevel: 'function',
  handler: asMeteredHandler(getService, answerChat),
});
