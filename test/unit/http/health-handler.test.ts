import { describe, expect, it } from 'vitest';
import { handleHealth, withoutService } from '../../../shared/http/operations-handler.ts';
import { publicHandler } from '../../../shared/http/handler.ts';
import { call, get } from '../../support/http-call.ts';

describe('GET /health', () => {
  it('answers without a service, and nothing but that it serves', async () => {
    const handler = publicHandler(withoutService, handleHealth);

    const answered = await call(handler, get('http://127.0.0.1/health'));

    expect(answered.status).toBe(200);
    expect(answered.json()).toEqual({ status: 'healthy', version: 'unbuilt' });
    expect(answered.headers['cache-control']).toBe('no-store');
  });
});
