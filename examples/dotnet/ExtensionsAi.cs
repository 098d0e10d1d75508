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
        await foreach (ChatResponseUpdate update in client.GetStreamingResponseAsync("Hello there"))
        {
            if (update.Text != "") pieces.Add(update.Text);
        }
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

    [Description("The weather of a city")]
    static string GetWeather(string city) => $"sunny in {city}";
}

record Meeting(string Name, string[] Attendees);
