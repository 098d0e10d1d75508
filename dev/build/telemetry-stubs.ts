import type { Plugin } from 'esbuild';

/**
 * Packages that `applicationinsights` imports and this product never uses, with the exports that
 * the importing code needs: instrumentations that are turned off, exporters for other backends, and
 * the detection of the machine, which would query the metadata endpoint. Without them the bundle is
 * 1.6 MB smaller. Each export throws if it is called; each detector finds nothing.
 */
export const STUBBED_EXPORTS: Readonly<Record<string, readonly string[]>> = {
  '@azure/opentelemetry-instrumentation-azure-sdk': [
    'AzureSdkInstrumentation',
    'createOpenTelemetryInstrumenter',
  ],
  '@opentelemetry/configuration': [
    'createConfigFactory',
    'mergePropagatorCompositeConfig',
    'mergeResourceAttributesConfig',
  ],
  '@opentelemetry/exporter-logs-otlp-grpc': ['OTLPLogExporter'],
  '@opentelemetry/exporter-logs-otlp-http': ['OTLPLogExporter'],
  '@opentelemetry/exporter-logs-otlp-proto': ['OTLPLogExporter'],
  '@opentelemetry/exporter-metrics-otlp-grpc': ['OTLPMetricExporter'],
  '@opentelemetry/exporter-metrics-otlp-http': [
    'AggregationTemporalityPreference',
    'OTLPMetricExporter',
  ],
  '@opentelemetry/exporter-metrics-otlp-proto': ['OTLPMetricExporter'],
  '@opentelemetry/exporter-prometheus': ['PrometheusExporter'],
  '@opentelemetry/exporter-trace-otlp-grpc': ['OTLPTraceExporter'],
  '@opentelemetry/exporter-trace-otlp-http': ['OTLPTraceExporter'],
  '@opentelemetry/exporter-trace-otlp-proto': ['OTLPTraceExporter'],
  '@opentelemetry/exporter-zipkin': ['ZipkinExporter'],
  '@opentelemetry/instrumentation-bunyan': ['BunyanInstrumentation'],
  '@opentelemetry/instrumentation-console': ['ConsoleInstrumentation'],
  '@opentelemetry/instrumentation-http': ['HttpInstrumentation'],
  '@opentelemetry/instrumentation-mongodb': ['MongoDBInstrumentation'],
  '@opentelemetry/instrumentation-mysql': ['MySQLInstrumentation'],
  '@opentelemetry/instrumentation-pg': ['PgInstrumentation'],
  '@opentelemetry/instrumentation-redis': ['RedisInstrumentation'],
  '@opentelemetry/instrumentation-winston': ['WinstonInstrumentation'],
  '@opentelemetry/otlp-exporter-base': ['CompressionAlgorithm'],
  '@opentelemetry/otlp-grpc-exporter-base': [
    'createEmptyMetadata',
    'createInsecureCredentials',
    'createSslCredentials',
  ],
  '@opentelemetry/propagator-b3': ['B3InjectEncoding', 'B3Propagator'],
  '@opentelemetry/propagator-jaeger': ['JaegerPropagator'],
  '@opentelemetry/resource-detector-azure': [
    'azureAksDetector',
    'azureAppServiceDetector',
    'azureContainerAppsDetector',
    'azureFunctionsDetector',
    'azureVmDetector',
  ],
};

/** The namespace of stubs in esbuild's metafile. */
export const STUB_NAMESPACE = 'stub';

/**
 * Replaces the packages above. An import of a name that is not listed fails the build where the
 * importing file is an ES module, so a new version of a package cannot break this unnoticed.
 */
export function stubUnusedPackages(): Plugin {
  return {
    name: 'stub-unused-packages',
    setup(build) {
      build.onResolve({ filter: /^@(?:azure|opentelemetry)\// }, ({ path }) =>
        Object.hasOwn(STUBBED_EXPORTS, path) ? { path, namespace: STUB_NAMESPACE } : undefined,
      );
      build.onLoad({ filter: /.*/, namespace: STUB_NAMESPACE }, ({ path }) => ({
        contents: (STUBBED_EXPORTS[path] ?? []).map((name) => stubOf(name, path)).join('\n'),
      }));
    },
  };
}

function stubOf(name: string, path: string): string {
  if (name.endsWith('Detector')) return `export const ${name}={detect:()=>({attributes:{}})};`;
  return `export function ${name}(){throw new Error('${path} is not part of this bundle');}`;
}

/** Marks the inner resolution below, so that it is not intercepted again. */
const RESOLVED = Symbol('resolved');

/**
 * Resolves `require('@azure/...')` to the ES module that `import` gets. CommonJS code of
 * `applicationinsights` would otherwise add a second copy of the Azure clients to the bundle.
 */
export function shareAzureModules(): Plugin {
  return {
    name: 'share-azure-modules',
    setup(build) {
      build.onResolve({ filter: /^@(?:azure|azure-rest|typespec)\// }, (request) => {
        if (request.kind !== 'require-call' || request.pluginData === RESOLVED) return undefined;
        const { path, resolveDir, importer } = request;
        const kind = 'import-statement';
        return build.resolve(path, { kind, resolveDir, importer, pluginData: RESOLVED });
      });
    },
  };
}
