using System.ClientModel;
using System.ClientModel.Primitives;
using OpenAI;

/// <summary>The official OpenAI client, with the address and the keys of the agent.</summary>
static class Connection
{
    public static OpenAIClient Open()
    {
        string address = Read("AGENT_URL") ?? "http://127.0.0.1:7071/v1";
        // The key of the caller; needed where the secret caller-keys exists.
        string callerKey = Read("AGENT_CALLER_KEY") ?? "unused";
        var options = new OpenAIClientOptions { Endpoint = new Uri(address) };
        // The function key; needed on Azure.
        if (Read("AGENT_FUNCTION_KEY") is { } functionKey)
        {
            var header = ApiKeyAuthenticationPolicy.CreateHeaderApiKeyPolicy(new ApiKeyCredential(functionKey), "x-functions-key");
            options.AddPolicy(header, PipelinePosition.PerCall);
        }
        return new OpenAIClient(new ApiKeyCredential(callerKey), options);
    }

    static string? Read(string name) => Environment.GetEnvironmentVariable(name) is { Length: > 0 } value ? value : null;
}
