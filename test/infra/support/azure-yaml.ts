import { readFileSync } from 'node:fs';
import { parse } from 'yaml';
import { z } from 'zod';

const hook = z.strictObject({ run: z.string(), continueOnError: z.literal(false).optional() });

/** The part of azd's format that the project uses; any other key is an error. */
const schema = z.strictObject({
  name: z.string().regex(/^[a-z0-9][a-z0-9-]*$/),
  metadata: z.strictObject({ template: z.string() }),
  requiredVersions: z.strictObject({ azd: z.string().regex(/^>= \d+\.\d+\.\d+$/) }),
  infra: z.strictObject({ provider: z.literal('bicep'), path: z.string() }),
  services: z.strictObject({
    api: z.strictObject({
      project: z.string(),
      language: z.enum(['ts', 'js']),
      host: z.literal('function'),
      dist: z.string(),
      remoteBuild: z.literal(false),
    }),
  }),
  hooks: z.strictObject({ preprovision: hook, postprovision: hook, postdeploy: hook }),
  pipeline: z.strictObject({
    provider: z.literal('github'),
    variables: z.array(z.string()),
    secrets: z.array(z.string()),
  }),
});

export type AzureYaml = z.infer<typeof schema>;

export function readAzureYaml(text = readFileSync('azure.yaml', 'utf8')): AzureYaml {
  return schema.parse(parse(text));
}
