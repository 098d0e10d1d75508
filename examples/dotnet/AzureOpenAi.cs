using System.Text.Json;
using OpenAI;
using OpenAI.Chat;

/// <summary>The agent as a deployment of Azure OpenAI, with the ChatClient of Azure.AI.OpenAI.</summary>
static class AzureOpenAi
{
    static readonly ChatTool Weather = ChatTool.CreateFunctionTool(
        "get_weather",
        "The weather of a city",
        BinaryData.FromString("""{"type":"object","properties":{"city":{"type":"string"}},"required":["city"]}"""));

    public static async Task Run(OpenAIClient azure)
    {
        ChatClient client = azure.GetChatClient("agent");
        ChatCompletion answer = await client.CompleteChatAsync("Hello there");
        Console.WriteLine($"answer: {answer.Content[0].Text} ({answer.Usage.TotalTokenCount} tokens)");

        var pieces = new List<string>();
        await foreach (string piece in Stream(azure, "Hello there")) pieces.Add(piece);
        Console.WriteLine($"stream: {string.Concat(pieces)} ({pieces.Count} pieces)");

        List<ChatMessage> messages = [new UserChatMessage("""get_weather {"city":"Bonn"} and get_weather {"city":"Ulm"}""")];
        Console.WriteLine($"tools: {await RunTools(client, messages)}");
        messages.Add(new UserChatMessage("And now?"));
        Console.WriteLine($"second turn: {await RunTools(client, messages)}");

        var options = new ChatCompletionOptions
        {
            ResponseFormat = ChatResponseFormat.CreateJsonSchemaFormat("meeting", BinaryData.FromString(
                """{"type":"object","properties":{"Name":{"type":"string"},"Attendees":{"type":"array","items":{"type":"string"}}},"required":["Name","Attendees"],"additionalProperties":false}""")),
        };
        ChatCompletion meeting = await client.CompleteChatAsync([new UserChatMessage("Invent a meeting")], options);
        Meeting? result = JsonSerializer.Deserialize<Meeting>(meeting.Content[0].Text);
        Console.WriteLine($"structured output: {result?.Name}, {result?.Attendees.Length} attendees");
    }

    /// <summary>Runs the function for each call of the model until the model answers.</summary>
    static async Task<string> RunTools(ChatClient client, List<ChatMessage> messages)
    {
        var options = new ChatCompletionOptions { Tools = { Weather } };
        for (;;)
        {
            ChatCompletion completion = await client.CompleteChatAsync(messages, options);
            messages.Add(new AssistantChatMessage(completion));
            if (completion.FinishReason != ChatFinishReason.ToolCalls) return completion.Content[0].Text;
            foreach (ChatToolCall call in completion.ToolCalls)
            {
                using JsonDocument arguments = JsonDocument.Parse(call.FunctionArguments);
                messages.Add(new ToolChatMessage(call.Id, $"sunny in {arguments.RootElement.GetProperty("city")}"));
            }
        }
    }

    public static async Task<string> Ask(OpenAIClient azure, string text)
    {
        ChatCompletion completion = await azure.GetChatClient("agent").CompleteChatAsync(text);
        return completion.Content[0].Text;
    }

    public static async IAsyncEnumerable<string> Stream(OpenAIClient azure, string text)
    {
        bool isComplete = false;
        await foreach (StreamingChatCompletionUpdate update in azure.GetChatClient("agent").CompleteChatStreamingAsync(text))
        {
            foreach (ChatMessageContentPart part in update.ContentUpdate) yield return part.Text;
            isComplete |= update.FinishReason != null;
        }
        if (!isComplete) throw Errors.BrokenOff();
    }
}
