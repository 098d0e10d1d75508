using System.ComponentModel;
using Microsoft.Extensions.AI;
using OpenAI;

/// <summary>The agent as an IChatClient of Microsoft.Extensions.AI.</summary>
static class ExtensionsAi
{
    public static async Task Run(OpenAIClient openAi)
    {
        IChatClient client = openAi.GetChatClient("agent").AsIChatClient()
            .AsBuilder()
            .UseFunctionInvocation()
            .Build();

        ChatResponse answer = await client.GetResponseAsync("Hello there");
        Console.WriteLine($"answer: {answer.Text} ({answer.Usage?.TotalTokenCount} tokens)");

        var pieces = new List<string>();
        await foreach (string piece in Stream(openAi, "Hello there")) pieces.Add(piece);
        Console.WriteLine($"stream: {string.Concat(pieces)} ({pieces.Count} pieces)");

        AIFunction weather = AIFunctionFactory.Create(GetWeather, "get_weather");
        var withTools = new ChatOptions { Tools = [weather] };
        List<ChatMessage> messages = [new(ChatRole.User, """get_weather {"city":"Bonn"} and get_weather {"city":"Ulm"}""")];
        ChatResponse called = await client.GetResponseAsync(messages, withTools);
        Console.WriteLine($"tools: {called.Text}");

        messages.AddMessages(called);
        messages.Add(new(ChatRole.User, "And now?"));
        Console.WriteLine($"second turn: {(await client.GetResponseAsync(messages, withTools)).Text}");

        ChatResponse<Meeting> meeting = await client.GetResponseAsync<Meeting>("Invent a meeting");
        Console.WriteLine($"structured output: {meeting.Result.Name}, {meeting.Result.Attendees.Length} attendees");
    }

    public static async Task<string> Ask(OpenAIClient openAi, string text) =>
        (await openAi.GetChatClient("agent").AsIChatClient().GetResponseAsync(text)).Text;

    public static async IAsyncEnumerable<string> Stream(OpenAIClient openAi, string text)
    {
        bool isComplete = false;
        await foreach (ChatResponseUpdate update in openAi.GetChatClient("agent").AsIChatClient().GetStreamingResponseAsync(text))
        {
            if (update.Text != "") yield return update.Text;
            isComplete |= update.FinishReason != null;
        }
        if (!isComplete) throw Errors.BrokenOff();
    }

    [Description("The weather of a city")]
    static string GetWeather(string city) => $"sunny in {city}";
}

record Meeting(string Name, string[] Attendees);
