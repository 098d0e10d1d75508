import { app } from '@azure/functions';

/** The least that any function does: it reads its body and answers. */
app.http('minimum', {
  route: 'minimum',
  methods: ['POST'],
  authLevel: 'anonymous',
  async handler(request) {
    const { length } = await request.text();
    return {
      status: 200,
      headers: { 'content-type': 'application/json' },
      body: `{"length":${length}}`,
    };
  },
});
