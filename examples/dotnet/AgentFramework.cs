using System.ComponentModel;
using Microsoft.Agents.AI;
using Microsoft.Extensions.AI;
using OpenAI;

/// <summary>The agent behind a ChatClientAgent of the Microsoft Agent Framework.</summary>
static class AgentFramework
{
    public static async Task Run(OpenAIClient openAi)
    {
        IChatClient client = openAi.GetChatClient("agent").AsIChatClient();
        AIFunction weather = AIFunctionFactory.Create(GetWeather, "get_weather");
        AIAgent agent = new ChatClientAgent(client, instructions: "Be brief.", name: "assistant", tools: [weather]);

        AgentResponse answer = await agent.RunAsync("Hello there");
        Console.WriteLine($"answer: {answer.Text}");

        var pieces = new List<string>();
        await foreach (string piece in Stream(openAi, "Hello there")) pieces.Add(piece);
        Console.WriteLine($"stream: {string.Concat(pieces)} ({pieces.Count} pieces)");

        AgentSession session = await agent.CreateSessionAsync();
        AgentResponse called = await agent.RunAsync("""get_weather {"city":"Bonn"} and get_weather {"city":"Ulm"}""", session);
        Console.WriteLine($"tools: {called.Text}");
        Console.WriteLine($"second turn: {(await agent.RunAsync("And now?", session)).Text}");

        AgentResponse<Meeting> meeting = await agent.RunAsync<Meeting>("Invent a meeting");
        Console.WriteLine($"structured output: {meeting.Result.Name}, {meeting.Result.Attendees.Length} attendees");
    }

    public static async Task<string> Ask(OpenAIClient openAi, string text) =>
        (await new ChatClientAgent(openAi.GetChatClient("agent").AsIChatClient()).RunAsync([new ChatMessage(ChatRole.User, text)])).Text;

    public static async IAsyncEnumerable<string> Stream(OpenAIClient openAi, string text)
    {
        var agent = new ChatClientAgent(openAi.GetChatClient("agent").AsIChatClient());
        bool isComplete = false;
        await foreach (AgentResponseUpdate update in agent.RunStreamingAsync(text))
        {
            if (update.Text != "") yield return update.Text;
            isComplete |= update.FinishReason != null;
        }
        if (!isComplete) throw Errors.BrokenOff();
    }

    [Description("The weather of a city")]
    static string GetWeather(string city) => $"sunny in {city}";
}
