using System.ClientModel;
using System.ClientModel.Primitives;
using Azure.AI.OpenAI;
using OpenAI;

/// <summary>The official clients, with the address and the keys of the agent.</summary>
static class Connection
{
    /// <summary>The client of OpenAI.</summary>
    public static OpenAIClient Open(string? callerKey)
    {
        var options = new OpenAIClientOptions { Endpoint = new Uri(Address) };
        AddFunctionKey(options);
        return new OpenAIClient(CallerKey(callerKey), options);
    }

    /// <summary>The client of Azure OpenAI: the address of the app stands for that of the resource.</summary>
    public static OpenAIClient OpenAzure(string? callerKey)
    {
        var options = new AzureOpenAIClientOptions();
        AddFunctionKey(options);
        return new AzureOpenAIClient(new Uri(new Uri(Address), "/"), CallerKey(callerKey), options);
    }

    public static string Address => Read("AGENT_URL") ?? "http://127.0.0.1:7071/v1";

    // The key of the caller; needed where the secret caller-keys exists.
    static ApiKeyCredential CallerKey(string? key) => new(key ?? Read("AGENT_CALLER_KEY") ?? "unused");

    // The agent repeats its model calls itself. The function key is needed on Azure.
    static void AddFunctionKey(ClientPipelineOptions options)
    {
        options.RetryPolicy = new ClientRetryPolicy(maxRetries: 0);
        if (Read("AGENT_FUNCTION_KEY") is not { } functionKey) return;
        var header = ApiKeyAuthenticationPolicy.CreateHeaderApiKeyPolicy(new ApiKeyCredential(functionKey), "x-functions-key");
        options.AddPolicy(header, PipelinePosition.PerCall);
    }

    public static string? Read(string name) => Environment.GetEnvironmentVariable(name) is { Length: > 0 } value ? value : null;
}
