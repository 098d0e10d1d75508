/** The address and the keys of the agent, from the environment. */
export const address = process.env['AGENT_URL'] ?? 'http://127.0.0.1:7071';
/** The key of the caller; needed where the secret caller-keys exists. */
export const callerKey = process.env['AGENT_CALLER_KEY'] ?? 'unused';
/** The function key; needed on Azure. */
export const headers = { 'x-functions-key': process.env['AGENT_FUNCTION_KEY'] ?? 'unused' };

/** A function that the client offers to the agent. */
export function weatherOf(city: string): string {
  return `sunny in ${city}`;
}
