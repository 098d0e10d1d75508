/** About what a model sends at a time; a reader sees text grow, a proxy sees few frames. */
const PIECE_CHARS = 48;
/** Words with the white space after them; a word too long is cut between characters, not in one. */
const WORD = /\s*\S{1,48}\s*|\s+/gu;

/** A kept answer in the pieces of a stream. Joined they are the text again. */
export function* replayText(text: string): Generator<string, void, void> {
  let piece = '';
  for (const [word] of text.matchAll(WORD)) {
    if (piece !== '' && piece.length + word.length > PIECE_CHARS) {
      yield piece;
      piece = '';
    }
    piece += word;
  }
  if (piece !== '') yield piece;
}
