// Usage: dotnet run --project examples/dotnet -- <sample>, or errors <sample>
using OpenAI;

var samples = new Dictionary<string, Sample>
{
    ["extensions-ai"] = new(Connection.Open, ExtensionsAi.Run, ExtensionsAi.Ask, ExtensionsAi.Stream),
    ["semantic-kernel"] = new(Connection.Open, SemanticKernel.Run, SemanticKernel.Ask, SemanticKernel.Stream),
    ["agent-framework"] = new(Connection.Open, AgentFramework.Run, AgentFramework.Ask, AgentFramework.Stream),
    ["azure-openai"] = new(Connection.OpenAzure, AzureOpenAi.Run, AzureOpenAi.Ask, AzureOpenAi.Stream),
    // The same sample with the client of Azure OpenAI behind it.
    ["azure-extensions-ai"] = new(Connection.OpenAzure, ExtensionsAi.Run, ExtensionsAi.Ask, ExtensionsAi.Stream),
};

switch (args)
{
    case ["queue-producer"]:
        await QueueProducer.Run();
        return 0;
    case ["errors", string name] when samples.TryGetValue(name, out Sample? sample):
        await Errors.Print(sample);
        return 0;
    case [string name] when samples.TryGetValue(name, out Sample? sample):
        await sample.Run(sample.Open(null));
        return 0;
    default:
        Console.Error.WriteLine($"Name a sample: {string.Join(", ", samples.Keys)} or queue-producer");
        return 1;
}

/// <summary>One client: how to connect it, with another caller key if there is one, and how to use it.</summary>
record Sample(
    Func<string?, OpenAIClient> Open,
    Func<OpenAIClient, Task> Run,
    Func<OpenAIClient, string, Task<string>> Ask,
    Func<OpenAIClient, string, IAsyncEnumerable<string>> Stream);
