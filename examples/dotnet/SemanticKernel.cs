using System.ComponentModel;
using System.Text.Json;
using Microsoft.SemanticKernel;
using Microsoft.SemanticKernel.ChatCompletion;
using Microsoft.SemanticKernel.Connectors.OpenAI;
using OpenAI;

/// <summary>The agent as the chat completion service of Semantic Kernel.</summary>
static class SemanticKernel
{
    public static async Task Run(OpenAIClient openAi)
    {
        IKernelBuilder builder = Kernel.CreateBuilder();
        builder.AddOpenAIChatCompletion("agent", openAi);
        builder.Plugins.AddFromType<WeatherPlugin>("weather");
        Kernel kernel = builder.Build();
        var chat = kernel.GetRequiredService<IChatCompletionService>();

        ChatMessageContent answer = await chat.GetChatMessageContentAsync("Hello there");
        Console.WriteLine($"answer: {answer.Content}");

        var pieces = new List<string>();
        await foreach (string piece in Stream(openAi, "Hello there")) pieces.Add(piece);
        Console.WriteLine($"stream: {string.Concat(pieces)} ({pieces.Count} pieces)");

        var settings = new OpenAIPromptExecutionSettings { FunctionChoiceBehavior = FunctionChoiceBehavior.Auto() };
        var history = new ChatHistory("Be brief.");
        history.AddUserMessage("""weather-get_weather {"city":"Bonn"} and weather-get_weather {"city":"Ulm"}""");
        ChatMessageContent called = await chat.GetChatMessageContentAsync(history, settings, kernel);
        Console.WriteLine($"tools: {called.Content}");

        history.Add(called);
        history.AddUserMessage("And now?");
        Console.WriteLine($"second turn: {(await chat.GetChatMessageContentAsync(history, settings, kernel)).Content}");

        var shaped = new OpenAIPromptExecutionSettings { ResponseFormat = typeof(Meeting) };
        ChatMessageContent meeting = await chat.GetChatMessageContentAsync("Invent a meeting", shaped);
        Meeting? result = JsonSerializer.Deserialize<Meeting>(meeting.Content ?? "null");
        Console.WriteLine($"structured output: {result?.Name}, {result?.Attendees.Length} attendees");
    }

    public static async Task<string> Ask(OpenAIClient openAi, string text) =>
        (await new OpenAIChatCompletionService("agent", openAi).GetChatMessageContentAsync(text)).Content ?? "";

    public static async IAsyncEnumerable<string> Stream(OpenAIClient openAi, string text)
    {
        var chat = new OpenAIChatCompletionService("agent", openAi);
        bool isComplete = false;
        await foreach (StreamingChatMessageContent piece in chat.GetStreamingChatMessageContentsAsync(text))
        {
            if (piece.Content is { Length: > 0 } content) yield return content;
            isComplete |= piece.Metadata?["FinishReason"] != null;
        }
        if (!isComplete) throw Errors.BrokenOff();
    }

    sealed class WeatherPlugin
    {
        [KernelFunction("get_weather"), Description("The weather of a city")]
        public string GetWeather(string city) => $"sunny in {city}";
    }
}
