targetScope = 'subscription'

@minLength(1)
@maxLength(64)
@description('azd environment name, from which every resource name is derived.')
param environmentName string

@description('Region of every resource except the model account.')
@metadata({ azd: { type: 'location' } })
param location string

@description('Region of the model account. Empty = same as location.')
param openAiLocation string = ''

// Who deploys

@description('Object id of the person or pipeline that runs azd.')
param principalId string = ''
@description('Kind of that identity; azd sets it.')
@allowed(['User', 'ServicePrincipal', 'Group', ''])
param principalType string = ''
@description('Lets the deployer read data and store secrets. auto = a person, but not a pipeline.')
@allowed(['auto', 'on', 'off'])
param deployerAccess string = 'auto'

// The model

@description('Model, and the name of its deployment.')
param modelName string = 'gpt-5.4-mini'
@description('Version of the model.')
param modelVersion string = '2026-03-17'
@description('Capacity in thousands of tokens per minute.')
@minValue(1)
param modelCapacity int = 30
@description('DataZoneStandard and Standard keep the data in a zone or region.')
@allowed(['GlobalStandard', 'DataZoneStandard', 'Standard'])
param modelSku string = 'GlobalStandard'
@description('OnceCurrentVersionExpired moves to the next version when this one retires. With NoAutoUpgrade calls fail then.')
@allowed(['OnceCurrentVersionExpired', 'OnceNewDefaultVersionAvailable', 'NoAutoUpgrade'])
param modelUpgrade string = 'OnceCurrentVersionExpired'
@description('Existing Azure OpenAI endpoint. If set, no model account is created, and you assign the role on it.')
param existingOpenAiEndpoint string = ''
@description('Deployment at the existing endpoint. Empty = the name of the model.')
param existingOpenAiDeployment string = ''

@description('Endpoints that are called when the previous ones fail. Store their keys in the vault and name them by apiKeySecret.')
param modelFallbacks array = []

// The app and its plan

@description('Memory of an instance; more memory brings more CPU.')
@allowed([512, 2048, 4096])
param instanceMemoryMB int = 2048
@description('Most instances of each group of functions.')
@minValue(1)
@maxValue(1000)
param maximumInstanceCount int = 100
@description('Instances for HTTP that always run. 0 = the first call after a pause waits for a start.')
@minValue(0)
param alwaysReadyHttp int = 0
@description('Concurrent calls of one instance, above which the platform starts another one.')
@minValue(1)
@maxValue(1000)
param httpConcurrency int = 16
@description('Version of Node on the instances.')
@allowed(['22', '24'])
param nodeVersion string = '22'
@description('Uses several zones for storage and instances. Needs alwaysReadyHttp of at least 2.')
param zoneRedundant bool = false
@description('RollingUpdate replaces instances one after another. Recreate stops the old version first.')
@allowed(['RollingUpdate', 'Recreate'])
param siteUpdateStrategy string = 'RollingUpdate'

// Network and callers

@description('Storage, vault and model accept calls from a private network only.')
param vnetEnabled bool = false
@description('Origins that browsers may call from, separated by commas. Empty = none.')
param corsOrigins string = ''
@description('Client id of an app registration. If set, every route except the probes requires Entra ID.')
param authClientId string = ''
@description('Client ids of the applications that may call, separated by commas. Empty = every application of the tenant.')
param authAllowedApplications string = ''
@description('App role that a caller with an Entra token must have; any other gets 403. Empty = no role.')
param authAppRole string = ''
@description('Whether callers need a function key. auto = function, but anonymous if authClientId requires Entra ID. anonymous = an Entra token or a caller key of the vault is enough.')
@allowed(['auto', 'function', 'anonymous'])
param routeAuthLevel string = 'auto'
@description('Puts Front Door with a firewall in front of the app; the app then accepts calls of that profile only.')
param frontDoor bool = false
@description('Premium adds the managed rules of the firewall.')
@allowed(['Standard_AzureFrontDoor', 'Premium_AzureFrontDoor'])
param frontDoorSku string = 'Standard_AzureFrontDoor'
@description('Id of the Front Door of another environment that sends traffic to this app.')
param frontDoorId string = ''
@description('Host of the app of another environment, the second origin of this Front Door.')
param frontDoorOtherHost string = ''
@description('Share of the app of this environment, from 1 to 1000; 0 = no traffic.')
@minValue(0)
@maxValue(1000)
param frontDoorWeight int = 500
@description('Share of the app of the other environment, from 1 to 1000; 0 = no traffic.')
@minValue(0)
@maxValue(1000)
param frontDoorOtherWeight int = 0
@description('Requests of one client address in a minute, above which the firewall answers 429.')
@minValue(10)
param frontDoorRequestsPerMinute int = 600

// Optional parts

@description('Lets the guardrails ask Prompt Shields of the model account. Needs a model account of this deployment.')
param promptShields bool = false
@description('Serves the page for people at the address of the app.')
param chatPage bool = false
@description('Redis that instances share for limits and cache. Empty = each instance works alone.')
param upstashRedisUrl string = ''
@description('Token of that Redis; the template stores it in the vault.')
@secure()
param upstashRedisToken string = ''
@secure()
@description('Keys of 32 bytes in base64, newest first, separated by commas, that encrypt stored conversations. Empty = the template leaves the secret alone.')
param historyEncryptionKey string = ''

// Alerts

@description('Addresses of the people on call, separated by commas. Empty = none.')
param alertEmail string = ''
@description('Phone number of the person on call, as country code and number: 46 701234567. Empty = none.')
param alertSms string = ''
@secure()
@description('Webhook of the tool for people on call. Empty = none.')
param alertWebhookUrl string = ''
@description('Addresses for alerts that can wait until working hours. Empty = those of the people on call.')
param workingHoursEmail string = ''
@description('Spending per month at which the budget notifies, in the currency of the subscription. 0 = no budget.')
@minValue(0)
param monthlyBudget int = 0
@description('First day of a month, such as 2026-12-01, from which the budget counts.')
param budgetStart string = ''
@description('Base URL of the links from alerts to runbooks; ends with a slash.')
param runbookBaseUrl string = ''
@description('Tokens in 24 hours above which the alert token-budget fires.')
@minValue(1)
param dailyTokenBudget int = 50000000

// Retention and limits of cost

@description('Days after their last change until input and results of batches are deleted.')
@minValue(1)
@maxValue(365)
param resultRetentionDays int = 30
@minValue(1)
@maxValue(365)
@description('Days after their last change until sessions and conversations are deleted.')
param sessionRetentionDays int = 30
@description('Days for which logs are kept.')
@minValue(30)
@maxValue(730)
param logRetentionDays int = 30
@description('Days for which the audit log is kept.')
@minValue(30)
@maxValue(730)
param auditRetentionDays int = 365
@description('Daily log volume in GB. Above it no logs are ingested until the next day, and log alerts cannot fire. -1 = no cap.')
param logDailyCapGb int = 1
@description('Cannot be switched off later. False only for temporary environments.')
param vaultPurgeProtection bool = true
@description('More app settings as NAME=value;NAME=value. A deployment removes app settings that are not in the templates.')
param extraAppSettings string = ''

var token = toLower(uniqueString(subscription().id, environmentName, location))
var aiEnabled = empty(existingOpenAiEndpoint)
var tags = { 'azd-env-name': environmentName }
var grantsDeployer = deployerAccess == 'on' || (deployerAccess == 'auto' && principalType != 'ServicePrincipal')
var extraPairs = filter(split(extraAppSettings, ';'), pair => contains(pair, '='))

resource rg 'Microsoft.Resources/resourceGroups@2024-11-01' = {
  name: 'rg-${environmentName}'
  location: location
  tags: tags
}

module identity 'modules/identity.bicep' = {
  name: 'identity'
  scope: rg
  params: { name: 'id-${token}', location: location, tags: tags }
}

module monitor 'modules/monitor.bicep' = {
  name: 'monitor'
  scope: rg
  params: {
    workspaceName: 'log-${token}'
    componentName: 'appi-${token}'
    location: location
    tags: tags
    retentionDays: logRetentionDays
    auditRetentionDays: auditRetentionDays
    dailyCapGb: logDailyCapGb
  }
}

module network 'modules/network.bicep' = if (vnetEnabled) {
  name: 'network'
  scope: rg
  params: { name: 'vnet-${token}', location: location, tags: tags }
}

module storage 'modules/storage.bicep' = {
  name: 'storage'
  scope: rg
  params: {
    name: 'st${token}'
    location: location
    tags: tags
    zoneRedundant: zoneRedundant
    publicAccess: !vnetEnabled
    retentionDays: resultRetentionDays
    sessionRetentionDays: sessionRetentionDays
    workspaceId: monitor.outputs.workspaceId
  }
}

module vault 'modules/vault.bicep' = {
  name: 'vault'
  scope: rg
  params: {
    name: 'kv-${token}'
    location: location
    tags: tags
    publicAccess: !vnetEnabled
    purgeProtection: vaultPurgeProtection
    workspaceId: monitor.outputs.workspaceId
    upstashRedisToken: upstashRedisToken
    historyEncryptionKey: historyEncryptionKey
  }
}

module ai 'modules/ai.bicep' = if (aiEnabled) {
  name: 'ai'
  scope: rg
  params: {
    name: 'ai-${token}'
    location: empty(openAiLocation) ? location : openAiLocation
    tags: tags
    modelName: modelName
    modelVersion: modelVersion
    upgrade: modelUpgrade
    capacity: modelCapacity
    skuName: modelSku
    publicAccess: !vnetEnabled
    workspaceId: monitor.outputs.workspaceId
  }
}

module endpoints 'modules/private-endpoints.bicep' = if (vnetEnabled) {
  name: 'endpoints'
  scope: rg
  params: {
    location: location
    tags: tags
    vnetId: network.?outputs.id ?? ''
    subnetId: network.?outputs.endpointSubnetId ?? ''
    endpoints: concat(
      [
        { name: 'blob', resourceId: storage.outputs.id, groupId: 'blob', zone: 'privatelink.blob.${az.environment().suffixes.storage}' }
        { name: 'queue', resourceId: storage.outputs.id, groupId: 'queue', zone: 'privatelink.queue.${az.environment().suffixes.storage}' }
        { name: 'table', resourceId: storage.outputs.id, groupId: 'table', zone: 'privatelink.table.${az.environment().suffixes.storage}' }
        { name: 'vault', resourceId: vault.outputs.id, groupId: 'vault', zone: 'privatelink.vaultcore.azure.net' }
      ],
      aiEnabled
        ? [{ name: 'openai', resourceId: ai.?outputs.id ?? '', groupId: 'account', zone: 'privatelink.openai.azure.com' }]
        : [],
      aiEnabled && promptShields
        ? [{ name: 'safety', resourceId: ai.?outputs.id ?? '', groupId: 'account', zone: 'privatelink.cognitiveservices.azure.com' }]
        : []
    )
  }
}

module frontDoorProfile 'modules/front-door.bicep' = if (frontDoor) {
  name: 'front-door'
  scope: rg
  params: { name: 'afd-${token}', tags: tags, sku: frontDoorSku }
}

// The app depends on the role assignments: its first start and the first upload need them.
module access 'modules/access.bicep' = {
  name: 'access'
  scope: rg
  params: {
    identityName: 'id-${token}'
    identityPrincipalId: identity.outputs.principalId
    deployerId: grantsDeployer ? principalId : ''
    deployerType: empty(principalType) ? 'User' : principalType
    storageName: 'st${token}'
    vaultName: 'kv-${token}'
    componentName: 'appi-${token}'
    aiName: 'ai-${token}'
    aiEnabled: aiEnabled
    promptShields: promptShields
  }
  dependsOn: [storage, vault, monitor, ai]
}

module app 'modules/app.bicep' = {
  name: 'app'
  scope: rg
  params: {
    name: 'func-${token}'
    planName: 'plan-${token}'
    location: location
    tags: tags
    identityId: identity.outputs.id
    identityClientId: identity.outputs.clientId
    storageName: storage.outputs.name
    packageContainer: storage.outputs.packageContainer
    appInsightsConnectionString: monitor.outputs.connectionString
    workspaceId: monitor.outputs.workspaceId
    subnetId: network.?outputs.appSubnetId ?? ''
    nodeVersion: nodeVersion
    instanceMemoryMB: instanceMemoryMB
    maximumInstanceCount: maximumInstanceCount
    alwaysReadyHttp: alwaysReadyHttp
    httpConcurrency: httpConcurrency
    zoneRedundant: zoneRedundant
    siteUpdateStrategy: siteUpdateStrategy
    corsOrigins: corsOrigins
    frontDoorId: frontDoorProfile.?outputs.frontDoorId ?? frontDoorId
    chatPage: chatPage
    authClientId: authClientId
    authAppRole: authAppRole
    routeAuthLevel: routeAuthLevel != 'auto' ? routeAuthLevel : empty(authClientId) ? 'function' : 'anonymous'
    allowedApplications: filter(map(split(authAllowedApplications, ','), id => trim(id)), id => !empty(id))
    modelCapacity: aiEnabled ? modelCapacity : 0
    settings: {
      AZURE_KEY_VAULT_URL: vault.outputs.uri
      AZURE_OPENAI_ENDPOINT: ai.?outputs.endpoint ?? existingOpenAiEndpoint
      AZURE_OPENAI_DEPLOYMENT: empty(existingOpenAiDeployment) ? modelName : existingOpenAiDeployment
      MODEL_FALLBACKS: empty(modelFallbacks) ? '' : string(modelFallbacks)
      UPSTASH_REDIS_REST_URL: upstashRedisUrl
      AZURE_CONTENT_SAFETY_ENDPOINT: promptShields ? (ai.?outputs.safetyEndpoint ?? '') : ''
      AGENT__SESSIONS__RETENTION_DAYS: string(sessionRetentionDays)
    }
    extraSettings: toObject(extraPairs, pair => trim(first(split(pair, '='))), pair => join(skip(split(pair, '='), 1), '='))
  }
  dependsOn: [access, endpoints]
}

module frontDoorRoutes 'modules/front-door-routes.bicep' = if (frontDoor) {
  name: 'front-door-routes'
  scope: rg
  params: {
    profileName: frontDoorProfile.?outputs.name ?? ''
    endpointName: 'agent-${token}'
    wafName: 'waf${token}'
    tags: tags
    sku: frontDoorSku
    origins: concat(
      [{ name: 'this', host: replace(app.outputs.url, 'https://', ''), weight: max(frontDoorWeight, 1), enabled: frontDoorWeight > 0 }],
      empty(frontDoorOtherHost) ? [] : [{ name: 'other', host: frontDoorOtherHost, weight: max(frontDoorOtherWeight, 1), enabled: frontDoorOtherWeight > 0 }]
    )
    requestsPerMinute: frontDoorRequestsPerMinute
    workspaceId: monitor.outputs.workspaceId
  }
}

module alerts 'modules/alerts.bicep' = {
  name: 'alerts'
  scope: rg
  params: {
    location: location
    tags: tags
    workspaceId: monitor.outputs.workspaceId
    email: alertEmail
    sms: alertSms
    webhookUrl: alertWebhookUrl
    workingHoursEmail: workingHoursEmail
    monthlyBudget: monthlyBudget
    budgetStart: budgetStart
    dailyTokenBudget: dailyTokenBudget
    runbookBaseUrl: runbookBaseUrl
  }
}

module probe 'modules/probe.bicep' = {
  name: 'probe'
  scope: rg
  params: {
    location: location
    tags: tags
    componentId: monitor.outputs.componentId
    healthUrl: '${app.outputs.url}/health'
    actionGroupId: alerts.outputs.actionGroupId
    runbookBaseUrl: runbookBaseUrl
  }
}

module workbook 'modules/workbook.bicep' = {
  name: 'workbook'
  scope: rg
  params: { location: location, tags: tags, workspaceId: monitor.outputs.workspaceId }
}

@description('Group of all resources.')
output AZURE_RESOURCE_GROUP string = rg.name
@description('Tenant of the subscription.')
output AZURE_TENANT_ID string = tenant().tenantId
@description('Identity of the app, for further role assignments.')
output AZURE_IDENTITY_PRINCIPAL_ID string = identity.outputs.principalId
@description('Name of the app.')
output SERVICE_API_NAME string = app.outputs.name
@description('Address of the app.')
output SERVICE_API_URL string = app.outputs.url
@description('Address for callers with Front Door. Empty = none.')
output FRONT_DOOR_URL string = frontDoorRoutes.?outputs.url ?? ''
@description('Front Door of this environment. Empty = none.')
output FRONT_DOOR_PROFILE string = frontDoorProfile.?outputs.name ?? ''
@description('Account of batch jobs and results.')
output AZURE_STORAGE_ACCOUNT string = storage.outputs.name
@description('Vault of the secrets.')
output AZURE_KEY_VAULT_URL string = vault.outputs.uri
@description('Model deployment that the app calls.')
output AZURE_OPENAI_DEPLOYMENT string = empty(existingOpenAiDeployment) ? modelName : existingOpenAiDeployment
@description('Model endpoint that the app calls.')
output AZURE_OPENAI_ENDPOINT string = ai.?outputs.endpoint ?? existingOpenAiEndpoint
