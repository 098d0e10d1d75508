/** The system prompt until a team writes its own. */
export const DEFAULT_INSTRUCTIONS =
  'You are a helpful assistant. Answer clearly and briefly. When you do not know, say so.';
