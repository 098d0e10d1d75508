import { FRONT_DOOR_SHAPES } from './front-door-shapes.ts';
import { NETWORK_SHAPES } from './network-shapes.ts';
import { OBSERVING_SHAPES } from './observing-shapes.ts';
import { SITE_SHAPES } from './site-shapes.ts';
import type { Shapes } from './check-shapes.ts';

const STATE = ['Enabled', 'Disabled'] as const;
const ACL = {
  'defaultAction!': ['Allow', 'Deny'],
  bypass: ['AzureServices', 'None', 'Logging', 'Metrics'],
} as const;
const RETENTION = { 'enabled!': 'bool', days: 'int' } as const;

/**
 * The properties of each resource type, at the one API version that we use, that our templates may
 * set. A property that is missing here is an error until it is added.
 */
export const RESOURCE_SHAPES: Shapes = {
  ...SITE_SHAPES,
  ...OBSERVING_SHAPES,
  ...NETWORK_SHAPES,
  ...FRONT_DOOR_SHAPES,
  'Microsoft.Resources/resourceGroups@2024-11-01': {
    'name!': 'string',
    'location!': 'string',
    tags: 'object',
  },
  'Microsoft.ManagedIdentity/userAssignedIdentities@2024-11-30': {
    'name!': 'string',
    'location!': 'string',
    tags: 'object',
  },
  'Microsoft.Authorization/roleAssignments@2022-04-01': {
    'name!': 'string',
    'properties!': {
      'principalId!': 'string',
      principalType: ['User', 'Group', 'ServicePrincipal', 'ForeignGroup', 'Device'],
      'roleDefinitionId!': 'string',
    },
  },
  'Microsoft.Storage/storageAccounts@2025-06-01': {
    'name!': 'string',
    'location!': 'string',
    tags: 'object',
    'kind!': ['StorageV2'],
    'sku!': { 'name!': ['Standard_LRS', 'Standard_ZRS', 'Standard_GZRS', 'Standard_GRS'] },
    properties: {
      'allowSharedKeyAccess!': 'bool',
      'allowBlobPublicAccess!': 'bool',
      allowCrossTenantReplication: 'bool',
      defaultToOAuthAuthentication: 'bool',
      'minimumTlsVersion!': ['TLS1_2', 'TLS1_3'],
      'supportsHttpsTrafficOnly!': 'bool',
      publicNetworkAccess: [...STATE, 'SecuredByPerimeter'],
      networkAcls: ACL,
    },
  },
  'Microsoft.Storage/storageAccounts/blobServices@2025-06-01': {
    'name!': ['default'],
    properties: { deleteRetentionPolicy: RETENTION, containerDeleteRetentionPolicy: RETENTION },
  },
  'Microsoft.Storage/storageAccounts/blobServices/containers@2025-06-01': {
    'name!': 'string',
    properties: { publicAccess: ['None', 'Blob', 'Container'] },
  },
  'Microsoft.Storage/storageAccounts/queueServices@2025-06-01': { 'name!': ['default'] },
  'Microsoft.Storage/storageAccounts/queueServices/queues@2025-06-01': { 'name!': 'string' },
  'Microsoft.Storage/storageAccounts/tableServices@2025-06-01': { 'name!': ['default'] },
  'Microsoft.Storage/storageAccounts/managementPolicies@2025-06-01': {
    'name!': ['default'],
    'properties!': {
      'policy!': {
        'rules!': {
          each: {
            'name!': 'string',
            'type!': ['Lifecycle'],
            enabled: 'bool',
            'definition!': {
              filters: { 'blobTypes!': { each: ['blockBlob', 'appendBlob'] }, prefixMatch: 'any' },
              'actions!': {
                baseBlob: { delete: { daysAfterModificationGreaterThan: 'int' } },
              },
            },
          },
        },
      },
    },
  },
  'Microsoft.KeyVault/vaults@2024-11-01': {
    'name!': 'string',
    'location!': 'string',
    tags: 'object',
    'properties!': {
      'tenantId!': 'string',
      'sku!': { 'family!': ['A'], 'name!': ['standard', 'premium'] },
      enableRbacAuthorization: 'bool',
      enableSoftDelete: 'bool',
      softDeleteRetentionInDays: 'int',
      enablePurgeProtection: 'bool',
      publicNetworkAccess: 'string',
      networkAcls: ACL,
    },
  },
  'Microsoft.KeyVault/vaults/secrets@2024-11-01': {
    'name!': 'string',
    'properties!': { value: 'string', contentType: 'string' },
  },
  'Microsoft.CognitiveServices/accounts@2026-05-01': {
    'name!': 'string',
    'location!': 'string',
    tags: 'object',
    'kind!': 'string',
    'sku!': { 'name!': 'string' },
    'properties!': {
      'customSubDomainName!': 'string',
      'disableLocalAuth!': 'bool',
      publicNetworkAccess: STATE,
      networkAcls: ACL,
    },
  },
  'Microsoft.CognitiveServices/accounts/deployments@2026-05-01': {
    'name!': 'string',
    'sku!': { 'name!': 'string', capacity: 'int' },
    'properties!': {
      'model!': { 'format!': ['OpenAI'], 'name!': 'string', 'version!': 'string' },
      versionUpgradeOption: [
        'OnceCurrentVersionExpired',
        'OnceNewDefaultVersionAvailable',
        'NoAutoUpgrade',
      ],
      raiPolicyName: 'string',
    },
  },
};
