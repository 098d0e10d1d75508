param identityName string
param identityPrincipalId string
@description('A person or group that may read data and store secrets. Empty = none.')
param deployerId string
param deployerType string
param storageName string
param vaultName string
param componentName string
param aiName string
@description('False = the app uses an existing endpoint, and no role on aiName is assigned. aiName must not be empty even then: ARM evaluates names and scopes of skipped resources.')
param aiEnabled bool
@description('Lets the app call Prompt Shields of that account.')
param promptShields bool

var role = {
  blobOwner: 'b7e6dc6d-f1e8-4753-8033-0f276bb0955b' // Storage Blob Data Owner: leases of the host, package, results
  queueContributor: '974c5e8b-45b9-4653-ba55-5f855dd0fb88' // Storage Queue Data Contributor: trigger, poison queue, output
  tableContributor: '0a9a7e1f-b9d0-4cc4-a60d-0319b160aaa3' // Storage Table Data Contributor: job state, host diagnostics
  secretsUser: '4633458b-17de-408a-b874-0445c86b69e6' // Key Vault Secrets User: read only
  openAiUser: '5e0bd9bd-7b93-4f28-af87-19fc36ad61bd' // Cognitive Services OpenAI User: model calls only
  secretsOfficer: 'b86a8fe4-44ce-4948-aee5-eccb2c155cd7' // Key Vault Secrets Officer: the deployer stores secrets
  cognitiveUser: 'a97b65f3-24c7-4388-baec-2e87135dc908' // Cognitive Services User: Prompt Shields
  metricsPublisher: '3913510d-42f4-4e42-8a64-420c390055eb' // Monitoring Metrics Publisher: telemetry with local auth off
}

resource storage 'Microsoft.Storage/storageAccounts@2025-06-01' existing = {
  name: storageName
}

resource vault 'Microsoft.KeyVault/vaults@2024-11-01' existing = {
  name: vaultName
}

resource component 'Microsoft.Insights/components@2020-02-02' existing = {
  name: componentName
}

resource ai 'Microsoft.CognitiveServices/accounts@2026-05-01' existing = if (aiEnabled) {
  name: aiName
}

var storageRoles = [role.blobOwner, role.queueContributor, role.tableContributor]

// Names and loops use only values that are known before the deployment starts, so that a preview shows
// each assignment. If the identity is created again, its old assignments must be deleted first.
resource appOnStorage 'Microsoft.Authorization/roleAssignments@2022-04-01' = [
  for id in storageRoles: {
    name: guid(storage.id, identityName, id)
    scope: storage
    properties: {
      principalId: identityPrincipalId
      principalType: 'ServicePrincipal'
      roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', id)
    }
  }
]

resource deployerOnStorage 'Microsoft.Authorization/roleAssignments@2022-04-01' = [
  for id in storageRoles: if (!empty(deployerId)) {
    name: guid(storage.id, deployerId, id)
    scope: storage
    properties: {
      principalId: deployerId
      principalType: deployerType
      roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', id)
    }
  }
]

resource appOnVault 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(vault.id, identityName, role.secretsUser)
  scope: vault
  properties: {
    principalId: identityPrincipalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', role.secretsUser)
  }
}

resource deployerOnVault 'Microsoft.Authorization/roleAssignments@2022-04-01' = if (!empty(deployerId)) {
  name: guid(vault.id, deployerId, role.secretsOfficer)
  scope: vault
  properties: {
    principalId: deployerId
    principalType: deployerType
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', role.secretsOfficer)
  }
}

resource appOnAi 'Microsoft.Authorization/roleAssignments@2022-04-01' = if (aiEnabled) {
  name: guid(ai.id, identityName, role.openAiUser)
  scope: ai
  properties: {
    principalId: identityPrincipalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', role.openAiUser)
  }
}

resource appOnPromptShields 'Microsoft.Authorization/roleAssignments@2022-04-01' = if (aiEnabled && promptShields) {
  name: guid(ai.id, identityName, role.cognitiveUser)
  scope: ai
  properties: {
    principalId: identityPrincipalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', role.cognitiveUser)
  }
}

resource deployerOnAi 'Microsoft.Authorization/roleAssignments@2022-04-01' = if (aiEnabled && !empty(deployerId)) {
  name: guid(ai.id, deployerId, role.openAiUser)
  scope: ai
  properties: {
    principalId: deployerId
    principalType: deployerType
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', role.openAiUser)
  }
}

resource appOnTelemetry 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(component.id, identityName, role.metricsPublisher)
  scope: component
  properties: {
    principalId: identityPrincipalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', role.metricsPublisher)
  }
}
