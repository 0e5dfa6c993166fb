// Markdown as blocks, read on as it comes: what is behind the block that still grows is not looked at again.
import { Lexer, type Token } from "marked";

/** What is longer in one piece, in characters, is left as it is: looking for marks takes time by its square. */
const LONGEST = 8_000;

function lex(text: string): Token[] {
  const lexer = new Lexer({ gfm: true, breaks: false });
  const found: Token[] = [];
  try {
    lexer.blockTokens(text, found);
    // Not by `for … of`: tables and lists queue more while they are read.
    for (let at = 0; at < lexer.inlineQueue.length; at += 1) {
      const queued = lexer.inlineQueue[at];
      if (queued === undefined) break;
      if (queued.src.length > LONGEST) queued.tokens.push({ type: "text", raw: queued.src, text: queued.src });
      else lexer.inlineTokens(queued.src, queued.tokens);
    }
    return found;
  } catch {
    // Nested deeper than the stack goes.
    return [{ type: "code", raw: text, text }];
  }
}

/** One text's blocks. */
export class Blocks {
  private text = "";
  private settled: Token[] = [];
  private length = 0;

  /** The blocks of `source`. While it grows, only the last block is read anew; `whole`: all of it, for it is the end. */
  read(source: string, whole: boolean): Token[] {
    const text = source.replaceAll(/\r\n?/g, "\n");
    if (whole || !text.startsWith(this.text)) {
      this.settled = [];
      this.length = 0;
    }
    this.text = text;
    const rest = lex(text.slice(this.length));
    if (whole) return rest;
    const all = [...this.settled, ...rest];
    let last = rest.length - 1;
    while (last > 0 && rest[last]?.type === "space") last -= 1;
    for (const token of rest.slice(0, Math.max(last, 0))) {
      this.settled.push(token);
      this.length += token.raw.length;
    }
    return all;
  }
}
