/** The optional private network. */
export const NETWORK_SHAPES = {
  'Microsoft.Network/virtualNetworks@2024-10-01': {
    'name!': 'string',
    'location!': 'string',
    tags: 'object',
    'properties!': {
      'addressSpace!': { 'addressPrefixes!': { each: 'string' } },
      subnets: {
        each: {
          'name!': 'string',
          'properties!': {
            'addressPrefix!': 'string',
            delegations: {
              each: { 'name!': 'string', 'properties!': { 'serviceName!': 'string' } },
            },
            privateEndpointNetworkPolicies: ['Disabled', 'Enabled'],
          },
        },
      },
    },
  },
  'Microsoft.Network/privateDnsZones@2024-06-01': {
    'name!': 'string',
    'location!': ['global'],
    tags: 'object',
  },
  'Microsoft.Network/privateDnsZones/virtualNetworkLinks@2024-06-01': {
    'name!': 'string',
    'location!': ['global'],
    'properties!': { registrationEnabled: 'bool', 'virtualNetwork!': { 'id!': 'string' } },
  },
  'Microsoft.Network/privateEndpoints@2024-10-01': {
    'name!': 'string',
    'location!': 'string',
    tags: 'object',
    'properties!': {
      'subnet!': { 'id!': 'string' },
      'privateLinkServiceConnections!': {
        each: {
          'name!': 'string',
          'properties!': { 'privateLinkServiceId!': 'string', 'groupIds!': { each: 'string' } },
        },
      },
    },
  },
  'Microsoft.Network/privateEndpoints/privateDnsZoneGroups@2024-10-01': {
    'name!': 'string',
    'properties!': {
      'privateDnsZoneConfigs!': {
        each: { 'name!': 'string', 'properties!': { 'privateDnsZoneId!': 'string' } },
      },
    },
  },
} as const;
