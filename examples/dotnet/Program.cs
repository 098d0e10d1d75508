// Usage: dotnet run --project examples/dotnet -- <extensions-ai | semantic-kernel | agent-framework>
using OpenAI;

OpenAIClient client = Connection.Open();
switch (args.FirstOrDefault())
{
    case "extensions-ai":
        await ExtensionsAi.Run(client);
        return 0;
    case "semantic-kernel":
        await SemanticKernel.Run(client);
        return 0;
    case "agent-framework":
        await AgentFramework.Run(client);
        return 0;
    default:
        Console.Error.WriteLine("Name a sample: extensions-ai, semantic-kernel or agent-framework");
        return 1;
}
