import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import { gunzipSync } from 'node:zlib';
import type { AddressInfo } from 'node:net';
import * as z from 'zod';

const metricSchema = z.looseObject({
  name: z.string(),
  value: z.number(),
  count: z.number().optional(),
  min: z.number().optional(),
  max: z.number().optional(),
});

const envelopeSchema = z.object({
  time: z.string(),
  tags: z.record(z.string(), z.string()),
  data: z.object({
    baseType: z.string(),
    baseData: z.looseObject({
      name: z.string().optional(),
      message: z.string().optional(),
      id: z.string().optional(),
      resultCode: z.string().optional(),
      responseCode: z.string().optional(),
      properties: z.record(z.string(), z.string()).optional(),
      metrics: z.array(metricSchema).optional(),
    }),
  }),
});

export type Envelope = z.infer<typeof envelopeSchema>;

export interface Ingestion {
  readonly connectionString: string;
  readonly transport: {
    readonly host: string;
    readonly endpoint: string;
    readonly allowInsecureConnection: true;
  };
  /** What was sent so far. */
  readonly envelopes: readonly Envelope[];
  readonly requests: () => number;
  /** What came in that header, one for each package. */
  readonly authorizations: readonly (string | undefined)[];
  of(baseType: string): readonly Envelope[];
  close(): Promise<void>;
}

const INSTRUMENTATION_KEY = '00000000-0000-0000-0000-000000000000';

export interface IngestionOptions {
  /** What is answered instead of taking what came. */
  readonly answer?: (response: ServerResponse) => void;
  /** Serves https for `localhost`, as the product demands. */
  readonly tls?: { readonly key: string; readonly cert: string };
}

/** Application Insights on loopback: it keeps what it gets, or behaves as `answer` does. */
export async function startIngestion({ answer, tls }: IngestionOptions = {}): Promise<Ingestion> {
  const envelopes: Envelope[] = [];
  const authorizations: (string | undefined)[] = [];
  let requests = 0;
  function take(request: IncomingMessage, response: ServerResponse): void {
    requests += 1;
    authorizations.push(request.headers.authorization);
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      if (answer !== undefined) return answer(response);
      const raw = Buffer.concat(chunks);
      const text = request.headers['content-encoding'] === 'gzip' ? gunzipSync(raw) : raw;
      const taken = z.array(envelopeSchema).parse(JSON.parse(text.toString()));
      envelopes.push(...taken);
      response.setHeader('content-type', 'application/json');
      const items = taken.length;
      response.end(JSON.stringify({ itemsReceived: items, itemsAccepted: items, errors: [] }));
    });
  }
  const server = tls === undefined ? createServer(take) : createTlsServer(tls, take);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  const url = tls === undefined ? `http://127.0.0.1:${port}` : `https://localhost:${port}`;
  return {
    connectionString: `InstrumentationKey=${INSTRUMENTATION_KEY};IngestionEndpoint=${url}/`,
    transport: { host: url, endpoint: url, allowInsecureConnection: true },
    envelopes,
    requests: () => requests,
    authorizations,
    of: (baseType) => envelopes.filter(({ data }) => data.baseType === baseType),
    async close() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
