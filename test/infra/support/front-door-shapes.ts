const SWITCH = ['Enabled', 'Disabled'] as const;
const TIERS = ['Standard_AzureFrontDoor', 'Premium_AzureFrontDoor'] as const;
const NAMED = { 'name!': 'string' } as const;
const GLOBAL = { ...NAMED, 'location!': ['global'], tags: 'object' } as const;

/** Front Door with its origins, rules and firewall. */
export const FRONT_DOOR_SHAPES = {
  'Microsoft.Cdn/profiles@2025-04-15': {
    ...GLOBAL,
    'sku!': { 'name!': TIERS },
    properties: { originResponseTimeoutSeconds: 'int' },
  },
  'Microsoft.Cdn/profiles/afdEndpoints@2025-04-15': {
    ...GLOBAL,
    properties: { enabledState: SWITCH },
  },
  'Microsoft.Cdn/profiles/originGroups@2025-04-15': {
    ...NAMED,
    'properties!': {
      healthProbeSettings: {
        probePath: 'string',
        probeRequestType: ['GET', 'HEAD'],
        probeProtocol: ['Http', 'Https'],
        probeIntervalInSeconds: 'int',
      },
      'loadBalancingSettings!': {
        sampleSize: 'int',
        successfulSamplesRequired: 'int',
        additionalLatencyInMilliseconds: 'int',
      },
      sessionAffinityState: SWITCH,
    },
  },
  'Microsoft.Cdn/profiles/originGroups/origins@2025-04-15': {
    ...NAMED,
    'properties!': {
      'hostName!': 'string',
      originHostHeader: 'string',
      httpsPort: 'int',
      priority: 'int',
      weight: 'int',
      enabledState: SWITCH,
      enforceCertificateNameCheck: 'bool',
    },
  },
  'Microsoft.Cdn/profiles/ruleSets@2025-04-15': NAMED,
  'Microsoft.Cdn/profiles/ruleSets/rules@2025-04-15': {
    ...NAMED,
    'properties!': {
      'order!': 'int',
      conditions: 'any',
      matchProcessingBehavior: ['Continue', 'Stop'],
      'actions!': 'any',
    },
  },
  'Microsoft.Cdn/profiles/afdEndpoints/routes@2025-04-15': {
    ...NAMED,
    'properties!': {
      'originGroup!': { 'id!': 'string' },
      ruleSets: { each: { 'id!': 'string' } },
      patternsToMatch: 'any',
      supportedProtocols: 'any',
      forwardingProtocol: ['HttpsOnly', 'HttpOnly', 'MatchRequest'],
      httpsRedirect: SWITCH,
      linkToDefaultDomain: SWITCH,
      enabledState: SWITCH,
    },
  },
  'Microsoft.Cdn/profiles/securityPolicies@2025-04-15': { ...NAMED, 'properties!': 'any' },
  'Microsoft.Network/FrontDoorWebApplicationFirewallPolicies@2024-02-01': {
    ...GLOBAL,
    'sku!': { 'name!': TIERS },
    'properties!': {
      policySettings: {
        enabledState: SWITCH,
        mode: ['Prevention', 'Detection'],
        requestBodyCheck: SWITCH,
      },
      customRules: 'any',
      managedRules: 'any',
    },
  },
} as const;
