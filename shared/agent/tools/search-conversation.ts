import * as z from 'zod';
import { defineTool, type Tool } from '../tool.ts';

const parameters = z.strictObject({
  query: z.string().min(1).max(500).describe('Words that the earlier messages contain'),
});

/** Finds earlier messages of the caller's own conversation, also those that the model no longer reads. */
export const searchConversation: Tool = defineTool({
  name: 'search_conversation',
  description:
    'Searches the earlier messages of this conversation, also those that are not shown any more.',
  parameters,
  effect: 'none',
  needsConversation: true,
  dataFrom: 'earlier messages of this conversation',
  run({ query }, { searchConversation: search }) {
    const found = search?.(query) ?? [];
    return found.length === 0 ? 'No earlier message contains these words.' : found.join('\n');
  },
});
