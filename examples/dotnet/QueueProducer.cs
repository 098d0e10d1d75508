using System.Net.Http.Json;
using System.Text.Json;
using Azure.Storage.Queues;

/// <summary>Sends a batch by queue, and waits for its end over HTTP.</summary>
static class QueueProducer
{
    public static async Task Run()
    {
        string connection = Connection.Read("AzureWebJobsStorage") ?? throw new InvalidOperationException("Set AzureWebJobsStorage");
        var queue = new QueueClient(connection, "batch-jobs");
        string jobId = $"dotnet-{Guid.NewGuid():N}";
        var message = new
        {
            v = 1,
            jobId,
            // Who may read the batch over HTTP: key:NAME of the caller keys. The local host sees no address.
            owner = Connection.Read("AGENT_OWNER") ?? "address:unknown",
            items = Enumerable.Range(1, 3).Select(number => new { custom_id = $"item-{number}", body = new { message = $"Question {number}" } }),
        };
        await queue.SendMessageAsync(JsonSerializer.Serialize(message));
        Console.WriteLine($"sent: {jobId}");

        using var http = new HttpClient { BaseAddress = new Uri($"{Connection.Address}/") };
        http.DefaultRequestHeaders.Add("x-api-key", Connection.Read("AGENT_CALLER_KEY") ?? "unused");
        http.DefaultRequestHeaders.Add("x-functions-key", Connection.Read("AGENT_FUNCTION_KEY") ?? "unused");
        string status = "queued";
        JsonElement batch = default;
        DateTime deadline = DateTime.UtcNow.AddMinutes(5);
        while (status is not ("completed" or "failed"))
        {
            if (DateTime.UtcNow > deadline) throw new TimeoutException($"The batch {jobId} is not complete");
            await Task.Delay(500);
            HttpResponseMessage response = await http.GetAsync($"batches/{jobId}");
            // 404 until the message is received.
            if (!response.IsSuccessStatusCode) continue;
            batch = await response.Content.ReadFromJsonAsync<JsonElement>();
            status = batch.GetProperty("status").GetString() ?? "";
        }
        JsonElement counts = batch.GetProperty("request_counts");
        Console.WriteLine($"{status}: {counts.GetProperty("completed")} of {counts.GetProperty("total")}");
        Console.Write(await http.GetStringAsync($"files/{batch.GetProperty("output_file_id").GetString()}/content"));
    }
}
