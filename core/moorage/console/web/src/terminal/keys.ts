// Keys of the row on touch screens, as the bytes that a terminal sends for them.

export interface Held {
  ctrl: boolean;
  alt: boolean;
}

const LETTER: Record<string, string> = { Up: "A", Down: "B", Right: "C", Left: "D", Home: "H", End: "F" };
const TILDE: Record<string, string> = { PgUp: "5", PgDn: "6", Del: "3" };
const PLAIN: Record<string, string> = { Esc: "\x1b", Tab: "\t", Enter: "\r" };

/** What a key of the row sends. application: the program asked for the other arrow keys (DECCKM). */
export function keyBytes(key: string, held: Held, application: boolean): string {
  const modifier = 1 + (held.alt ? 2 : 0) + (held.ctrl ? 4 : 0);
  const letter = LETTER[key];
  if (letter !== undefined) return modifier > 1 ? `\x1b[1;${modifier}${letter}` : `\x1b${application ? "O" : "["}${letter}`;
  const tilde = TILDE[key];
  if (tilde !== undefined) return `\x1b[${tilde}${modifier > 1 ? `;${modifier}` : ""}~`;
  const plain = PLAIN[key];
  return withHeld(plain ?? key, plain === undefined ? held : { ctrl: false, alt: held.alt });
}

/** A typed text under the keys that are held down on the row. */
export function withHeld(text: string, held: Held): string {
  const typed = held.ctrl && text.length === 1 ? control(text) : text;
  return held.alt && [...text].length === 1 ? `\x1b${typed}` : typed;
}

/** Ctrl with a character: what terminals send for it. */
function control(letter: string): string {
  const code = letter.toUpperCase().charCodeAt(0);
  if (code >= 0x40 && code <= 0x5f) return String.fromCharCode(code & 0x1f);
  if (letter === " " || letter === "2") return "\0";
  if (letter === "/" || letter === "-") return "\x1f";
  if (letter === "?" || letter === "8") return "\x7f";
  return letter;
}
