import type { ObjectShape } from './shape.ts';

const POLICY: ObjectShape = {
  'name!': ['ftp', 'scm'],
  'properties!': { 'allow!': 'bool' },
};

/** Plan and site of the function app, and the configurations of the site by their names. */
export const SITE_SHAPES = {
  'Microsoft.Web/serverfarms@2024-11-01': {
    'name!': 'string',
    'location!': 'string',
    tags: 'object',
    kind: 'string',
    'sku!': { 'name!': ['FC1'], 'tier!': ['FlexConsumption'] },
    'properties!': { 'reserved!': 'bool', zoneRedundant: 'bool' },
  },
  'Microsoft.Web/sites@2024-11-01': {
    'name!': 'string',
    'location!': 'string',
    tags: 'object',
    'kind!': ['functionapp,linux'],
    'identity!': {
      'type!': ['UserAssigned', 'SystemAssigned', 'SystemAssigned, UserAssigned', 'None'],
      userAssignedIdentities: 'object',
    },
    'properties!': {
      'serverFarmId!': 'string',
      'httpsOnly!': 'bool',
      clientAffinityEnabled: 'bool',
      keyVaultReferenceIdentity: 'string',
      virtualNetworkSubnetId: 'string',
      'functionAppConfig!': {
        'deployment!': {
          'storage!': {
            'type!': ['blobContainer'],
            'value!': 'string',
            'authentication!': {
              'type!': ['UserAssignedIdentity'],
              'userAssignedIdentityResourceId!': 'string',
            },
          },
        },
        'runtime!': { 'name!': ['node'], 'version!': 'string' },
        'scaleAndConcurrency!': {
          'instanceMemoryMB!': 'int',
          'maximumInstanceCount!': 'int',
          alwaysReady: { each: { 'name!': 'string', 'instanceCount!': 'int' } },
          triggers: { http: { perInstanceConcurrency: 'int' } },
        },
      },
      // ftpsState is not here: this plan refuses it.
      'siteConfig!': {
        'minTlsVersion!': ['1.2', '1.3'],
        'scmMinTlsVersion!': ['1.2', '1.3'],
        http20Enabled: 'bool',
        ipSecurityRestrictions: 'any',
        ipSecurityRestrictionsDefaultAction: ['Allow', 'Deny'],
        scmIpSecurityRestrictionsDefaultAction: ['Allow'],
        cors: { 'allowedOrigins!': 'any', supportCredentials: 'bool' },
      },
    },
  },
  'Microsoft.Web/sites/config@2024-11-01 appsettings': {
    'name!': ['appsettings'],
    'properties!': 'any',
  },
  'Microsoft.Web/sites/config@2024-11-01 authsettingsV2': {
    'name!': ['authsettingsV2'],
    'properties!': {
      platform: { 'enabled!': 'bool' },
      globalValidation: {
        'requireAuthentication!': 'bool',
        'unauthenticatedClientAction!': ['Return401', 'Return403', 'RedirectToLoginPage'],
        excludedPaths: 'any',
      },
      httpSettings: { requireHttps: 'bool' },
      identityProviders: {
        azureActiveDirectory: {
          enabled: 'bool',
          registration: { 'clientId!': 'string', 'openIdIssuer!': 'string' },
          validation: 'any',
        },
      },
      login: { tokenStore: { enabled: 'bool' } },
    },
  },
  'Microsoft.Web/sites/basicPublishingCredentialsPolicies@2024-11-01': POLICY,
} as const;
