// What is typed, on its way out: in order, and a large paste in pieces that the server takes without refusing any.

/** Characters in one message, and milliseconds between two: below what a server lets through unless told otherwise. */
const PIECE = 32 * 1024;
const PAUSE = 120;

export class Outgoing {
  private readonly waiting: { pane: string; keys: string }[] = [];
  private timer = 0;

  /** `send` gives false when there is no connection. */
  constructor(private readonly send: (pane: string, keys: string) => boolean) {}

  /** Send, now or after what waits. False when it cannot be sent. */
  put(pane: string, keys: string): boolean {
    // Who presses Ctrl+C does not want the rest of a paste.
    if (keys === "\x03" && this.waiting.length > 0) this.drop();
    if (this.waiting.length === 0 && keys.length <= PIECE) return this.send(pane, keys);
    for (const piece of pieces(keys)) this.waiting.push({ pane, keys: piece });
    return this.timer !== 0 || this.next();
  }

  /** Forget what waits. */
  drop(): void {
    this.waiting.length = 0;
    clearTimeout(this.timer);
    this.timer = 0;
  }

  private next(): boolean {
    this.timer = 0;
    const first = this.waiting.shift();
    if (!first) return true;
    if (!this.send(first.pane, first.keys)) {
      this.drop();
      return false;
    }
    this.timer = window.setTimeout(() => this.next(), PAUSE);
    return true;
  }
}

/** Pieces of a text, none of which ends within a character. */
function* pieces(text: string): Generator<string> {
  for (let start = 0; start < text.length; ) {
    let end = Math.min(start + PIECE, text.length);
    const last = text.charCodeAt(end - 1);
    if (end < text.length && last >= 0xd800 && last < 0xdc00) end -= 1;
    yield text.slice(start, end);
    start = end;
  }
}
