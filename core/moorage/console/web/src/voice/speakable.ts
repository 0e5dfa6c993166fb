// What of a model's Markdown is said aloud, sentence by sentence, while it grows: no code, no addresses, no marks.
import type { Token, Tokens } from "marked";
import { Blocks } from "../chat/blocks";
import { plain } from "../chat/references";

/** What is longer, in characters, is cut where a word ends: the first sound should not wait for the end of it. */
const LONGEST = 300;
/** Ends of sentences: with what closes them, and a space or a line's end behind; those of East Asia need none.
 *  Looked for at the first of many marks alone: at each, a page of points would hold the page up. */
const END = /(?<![.!?…])[.!?…]+["'”’)\]]*(?=\s)|[。！？]["'”’)\]」』]*|\n/gu;
/** Something to say, not only marks. */
const SAID = /[\p{L}\p{N}]/u;

export class Speakable {
  private readonly blocks = new Blocks();
  /** The block that is being said, and how much of its text has been. */
  private block = 0;
  private used = 0;

  /** The sentences that are complete by now and were not given before. whole: nothing follows. */
  take(source: string, whole: boolean): string[] {
    const tokens = this.blocks.read(source, false);
    const found: string[] = [];
    for (; this.block < tokens.length; this.block += 1, this.used = 0) {
      const token = tokens[this.block];
      if (token === undefined) break;
      const grows = !whole && tokens.slice(this.block + 1).every(({ type }) => type === "space");
      const text = block(token);
      // The end of the last line is no end while it grows.
      const rest = (grows ? text.replace(/\n$/u, "") : text).slice(this.used);
      const [said, length] = cut(rest, !grows);
      found.push(...said);
      if (grows) {
        this.used += length;
        break;
      }
    }
    return found;
  }
}

/** The complete sentences at the start of a text, and how many characters they take. whole: all of it. */
function cut(text: string, whole: boolean): [string[], number] {
  const found: string[] = [];
  let from = 0;
  const give = (to: number) => {
    while (to - from > LONGEST) {
      const space = text.lastIndexOf(" ", from + LONGEST);
      const middle = space > from ? space : from + LONGEST;
      found.push(text.slice(from, middle));
      from = middle;
    }
    found.push(text.slice(from, to));
    from = to;
  };
  for (const match of text.matchAll(END)) give(match.index + match[0].length);
  if (whole) give(text.length);
  // What has no end yet and is long enough: all but its last words.
  else if (text.length - from > LONGEST) give(Math.max(text.lastIndexOf(" ", from + LONGEST), from + 1));
  return [found.map((each) => each.trim()).filter((each) => SAID.test(each)), from];
}

function block(token: Token): string {
  const found = token as Tokens.Generic;
  switch (token.type) {
    case "heading":
    case "paragraph":
      return `${line(found.tokens)}\n`;
    case "text":
      return found.tokens === undefined ? `${marks(plain(found["text"]))}\n` : `${line(found.tokens)}\n`;
    case "blockquote":
      return (found.tokens ?? []).map(block).join("");
    case "list":
      return (token as Tokens.List).items.map(({ tokens }) => tokens.map(block).join("")).join("");
    case "table": {
      const { header, rows } = token as Tokens.Table;
      return [header, ...rows].map((row) => `${row.map(({ tokens }) => line(tokens)).join(", ")}\n`).join("");
    }
    default:
      return "";
  }
}

/** The words of one line; lines within it are none of speech. */
const line = (tokens: Token[] | undefined): string => (tokens ?? []).map(inline).join("").replaceAll(/\s+/gu, " ");

function inline(token: Token): string {
  const found = token as Tokens.Generic;
  switch (token.type) {
    case "br":
      return " ";
    case "codespan":
      return found["text"];
    case "html":
    case "checkbox":
      return "";
    case "link":
      return found["autolink"] || found["text"] === found["href"] ? site(found["href"]) : (found.tokens ?? []).map(inline).join("");
    default:
      return found.tokens === undefined ? marks(plain(found["text"] ?? found.raw)) : found.tokens.map(inline).join("");
  }
}

/** Marks of Markdown whose other half has not come yet. */
const marks = (text: string): string => text.replaceAll(/[*`~]+(?=\S)|(?<=\S)[*`~]+/gu, "").replaceAll("_", " ");

function site(href: string): string {
  try {
    return new URL(href).hostname || href;
  } catch {
    return href;
  }
}
