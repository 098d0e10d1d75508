param name string
param tags object
@allowed(['Standard_AzureFrontDoor', 'Premium_AzureFrontDoor'])
param sku string

resource profile 'Microsoft.Cdn/profiles@2025-04-15' = {
  name: name
  location: 'global'
  tags: tags
  sku: { name: sku }
  // The default of 60 s would cut long answers and streams.
  properties: { originResponseTimeoutSeconds: 240 }
}

output name string = profile.name
output frontDoorId string = profile.properties.frontDoorId
