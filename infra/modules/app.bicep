param name string
param planName string
param location string
param tags object
param identityId string
param identityClientId string
param storageName string
param packageContainer string
param appInsightsConnectionString string
param workspaceId string
param subnetId string
param nodeVersion string
param instanceMemoryMB int
param maximumInstanceCount int
param alwaysReadyHttp int
param httpConcurrency int
param zoneRedundant bool
param siteUpdateStrategy string
param corsOrigins string
@description('Front Door whose calls the app accepts. Empty = calls from everywhere.')
param frontDoorId string
@description('Whether the app serves its page for people.')
param chatPage bool
param authClientId string
@description('App role that an Entra principal must have. Empty = none.')
param authAppRole string
@description('function or anonymous: whether the routes for callers need a key of the Functions host.')
param routeAuthLevel string
@description('Client ids of the applications that may call. Empty = every application of the tenant with a token for this app.')
param allowedApplications array
@description('Capacity of the model deployment in thousands of tokens per minute; 0 if it is unknown.')
param modelCapacity int
param settings object
@description('App settings of the team. The settings of this template override them.')
param extraSettings object

// Probes and the platform call these routes without a token.
var probePaths = ['/health', '/ready', '/health/ready']

resource storage 'Microsoft.Storage/storageAccounts@2025-06-01' existing = {
  name: storageName
}

resource plan 'Microsoft.Web/serverfarms@2024-11-01' = {
  name: planName
  location: location
  tags: tags
  kind: 'functionapp'
  sku: { name: 'FC1', tier: 'FlexConsumption' }
  properties: { reserved: true, zoneRedundant: zoneRedundant }
}

resource app 'Microsoft.Web/sites@2024-11-01' = {
  name: name
  location: location
  tags: union(tags, { 'azd-service-name': 'api' })
  kind: 'functionapp,linux'
  identity: { type: 'UserAssigned', userAssignedIdentities: { '${identityId}': {} } }
  properties: {
    serverFarmId: plan.id
    httpsOnly: true
    clientAffinityEnabled: false
    keyVaultReferenceIdentity: identityId
    virtualNetworkSubnetId: empty(subnetId) ? null : subnetId
    functionAppConfig: {
      deployment: {
        storage: {
          type: 'blobContainer'
          value: '${storage.properties.primaryEndpoints.blob}${packageContainer}'
          authentication: { type: 'UserAssignedIdentity', userAssignedIdentityResourceId: identityId }
        }
      }
      runtime: { name: 'node', version: nodeVersion }
      scaleAndConcurrency: {
        instanceMemoryMB: instanceMemoryMB
        maximumInstanceCount: maximumInstanceCount
        alwaysReady: alwaysReadyHttp == 0 ? [] : [{ name: 'http', instanceCount: alwaysReadyHttp }]
        triggers: { http: { perInstanceConcurrency: httpConcurrency } }
      }
      // The service accepts this property; the published Bicep types do not list it yet.
      #disable-next-line BCP037
      siteUpdateStrategy: { type: siteUpdateStrategy }
    }
    siteConfig: {
      minTlsVersion: '1.2'
      scmMinTlsVersion: '1.2'
      http20Enabled: true
      // The header tells this Front Door from those of others. The deployment endpoint stays open.
      ipSecurityRestrictions: empty(frontDoorId) ? [] : [
        { name: 'front-door', priority: 100, action: 'Allow', tag: 'ServiceTag', ipAddress: 'AzureFrontDoor.Backend', headers: { 'x-azure-fdid': [frontDoorId] } }
      ]
      ipSecurityRestrictionsDefaultAction: empty(frontDoorId) ? 'Allow' : 'Deny'
      scmIpSecurityRestrictionsDefaultAction: 'Allow'
      // An empty list takes earlier origins back; without the property they would stay.
      cors: { allowedOrigins: empty(corsOrigins) ? [] : map(split(corsOrigins, ','), origin => trim(origin)), supportCredentials: false }
    }
  }
}

resource appSettings 'Microsoft.Web/sites/config@2024-11-01' = {
  parent: app
  name: 'appsettings'
  properties: union(extraSettings, settings, empty(authClientId) ? {} : {
    // Easy Auth then writes the header x-ms-client-principal and removes one that a client sent.
    AGENT__CALLERS__TRUST_ENTRA_PRINCIPAL: 'true'
    AGENT__CALLERS__ENTRA_APP_ROLE: authAppRole // empty = none
  }, {
    ROUTE_AUTH_LEVEL: routeAuthLevel
  }, modelCapacity == 0 ? {} : {
    AGENT__MODEL__CAPACITY_TOKENS_PER_MINUTE: string(modelCapacity * 1000)
  }, {
    AzureWebJobsStorage__credential: 'managedidentity'
    AzureWebJobsStorage__clientId: identityClientId
    AzureWebJobsStorage__blobServiceUri: storage.properties.primaryEndpoints.blob
    AzureWebJobsStorage__queueServiceUri: storage.properties.primaryEndpoints.queue
    AzureWebJobsStorage__tableServiceUri: storage.properties.primaryEndpoints.table
    AZURE_CLIENT_ID: identityClientId
    AGENT__PAGE__ENABLED: string(chatPage)
    AzureWebJobsDisableHomepage: 'true' // the page of the host; ours is a function
    AZURE_TOKEN_CREDENTIALS: 'ManagedIdentityCredential' // skips the other kinds of credentials
    languageWorkers__node__arguments: '--max-http-header-size=65536' // the host forwards up to 32 KB, Node accepts 16 by default
    FUNCTIONS_REQUEST_BODY_SIZE_LIMIT: '220200960' // 210 MiB: a file of 200 MB and its form
    APPLICATIONINSIGHTS_CONNECTION_STRING: appInsightsConnectionString
    APPLICATIONINSIGHTS_AUTHENTICATION_STRING: 'ClientId=${identityClientId};Authorization=AAD'
  })
}

// One write to the site at a time: the service can answer parallel writes with 409.
resource ftp 'Microsoft.Web/sites/basicPublishingCredentialsPolicies@2024-11-01' = {
  parent: app
  name: 'ftp'
  properties: { allow: false }
  dependsOn: [appSettings]
}

resource scm 'Microsoft.Web/sites/basicPublishingCredentialsPolicies@2024-11-01' = {
  parent: app
  name: 'scm'
  properties: { allow: false }
  dependsOn: [ftp]
}

// Written without AUTH_CLIENT_ID as well, because otherwise emptying it would leave Easy Auth on.
resource auth 'Microsoft.Web/sites/config@2024-11-01' = {
  parent: app
  name: 'authsettingsV2'
  properties: {
    platform: { enabled: !empty(authClientId) }
    globalValidation: {
      requireAuthentication: !empty(authClientId)
      unauthenticatedClientAction: 'Return401'
      excludedPaths: probePaths
    }
    httpSettings: { requireHttps: true }
    identityProviders: empty(authClientId) ? {} : {
      azureActiveDirectory: {
        enabled: true
        registration: {
          clientId: authClientId
          openIdIssuer: '${environment().authentication.loginEndpoint}${tenant().tenantId}/v2.0'
        }
        validation: union({ allowedAudiences: [authClientId, 'api://${authClientId}'] }, empty(allowedApplications) ? {} : {
          // Any other application of the tenant gets 403, even with a token for this app.
          defaultAuthorizationPolicy: { allowedApplications: allowedApplications }
        })
      }
    }
    login: { tokenStore: { enabled: false } }
  }
  dependsOn: [scm]
}

resource logs 'Microsoft.Insights/diagnosticSettings@2021-05-01-preview' = {
  name: 'to-workspace'
  scope: app
  properties: {
    workspaceId: workspaceId
    metrics: [{ category: 'AllMetrics', enabled: true }]
  }
}

output name string = app.name
output url string = 'https://${app.properties.defaultHostName}'
