import { app } from '@azure/functions';

app.setup({ enableHttpStream: true });

/** The least that a function can do between a caller and a model: hand on what comes, unread. */
app.http('completions', {
  route: 'v1/chat/completions',
  methods: ['POST'],
  authLevel: 'anonymous',
  async handler(request) {
    const answer = await fetch(`${process.env.OPENAI_BASE_URL}/chat/completions`, {
      method: 'POST',
      headers: {
        'content-type': 'application/json',
        authorization: `Bearer ${process.env.OPENAI_API_KEY}`,
      },
      body: await request.text(),
    });
    const headers = { 'content-type': answer.headers.get('content-type') ?? 'application/json' };
    const isStream = headers['content-type'].startsWith('text/event-stream');
    return { status: answer.status, headers, body: isStream ? answer.body : await answer.text() };
  },
});
