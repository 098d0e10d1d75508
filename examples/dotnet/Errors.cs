using System.ClientModel;
using System.Text.Json;

/// <summary>What a client throws: the status, and the code that the service gives as the reason.</summary>
static class Errors
{
    public static async Task Print(Sample sample)
    {
        // A model name of the development model at the start of a text makes it fail in that way.
        await Show("wrong key", () => sample.Ask(sample.Open("wrong"), "Hello"));
        await Show("wrong request", () => sample.Ask(sample.Open(null), " "));
        if (Connection.Read("AGENT_LIMITED_KEY") is { } limited)
        {
            await Show("limit reached", () => sample.Ask(sample.Open(limited), "Hello"));
        }
        await Show("no quota", () => sample.Ask(sample.Open(null), "dev/quota Hello"));
        await Show("cut stream", async () =>
        {
            await foreach (string _ in sample.Stream(sample.Open(null), "dev/cut-5 Hello there, this is a longer text")) { }
        });
    }

    /// <summary>The client ignores an error within a stream; its finish reason is then missing.</summary>
    public static Exception BrokenOff() => new IOException("the answer broke off");

    static async Task Show(string name, Func<Task> call)
    {
        try
        {
            await call();
            Console.WriteLine($"{name}: no error");
        }
        catch (Exception error)
        {
            Console.WriteLine($"{name}: {Describe(error)}");
        }
    }

    // Semantic Kernel wraps the error of the client.
    static string Describe(Exception error) => error switch
    {
        ClientResultException { Status: var status } failed => $"{status} {CodeOf(failed)}",
        IOException => error.Message,
        { InnerException: { } inner } => Describe(inner),
        _ => $"{error.GetType().Name}: {error.Message}",
    };

    static string CodeOf(ClientResultException error)
    {
        if (error.GetRawResponse() is not { } response) return error.Message;
        using var body = JsonDocument.Parse(response.Content);
        return body.RootElement.GetProperty("error").GetProperty("code").GetString() ?? "";
    }
}
