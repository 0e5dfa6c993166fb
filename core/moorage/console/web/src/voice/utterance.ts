// One connection to the server that hears (eaRS's protocol): samples go in, words come out, and one `final` ends it.
import { RATE } from "./format";
import { message } from "./message";

/** What waits to be sent, in seconds of sound; with more the connection is too slow. */
const LONGEST_WAIT = 60;
/** So long after the end of the sound the rest of the words is waited for, in milliseconds. */
const LONGEST_END = 60_000;
const SAMPLE_BYTES = 4;

interface UtteranceEvents {
  /** All words so far. */
  onWords: (words: readonly string[]) => void;
  /** It is over. text: what was said, null where the server did not come to tell. */
  onOver: (text: string | null, problem: string | null) => void;
}

const BUSY = "As many are listened to already as the server can. Try again in a moment.";

/** What the server's own words for an error mean to a person. */
const said = (message: unknown): string =>
  typeof message !== "string" || message === ""
    ? "The server could not listen."
    : message.startsWith("server busy")
      ? BUSY
      : `The server could not listen: ${message}.`;

export class Utterance {
  private readonly socket: WebSocket;
  private readonly words: string[] = [];
  private waiting: Float32Array<ArrayBuffer>[] = [];
  private ending = false;
  private over = false;
  private opened = false;
  private timer = 0;

  constructor(
    url: string,
    private readonly events: UtteranceEvents,
  ) {
    this.socket = new WebSocket(url);
    this.socket.onopen = () => {
      this.opened = true;
      for (const frame of this.waiting) this.socket.send(frame);
      this.waiting = [];
      if (this.ending) this.stop();
    };
    this.socket.onmessage = ({ data }: MessageEvent<unknown>) => this.take(message(data));
    this.socket.onclose = () => this.closed();
  }

  send(frame: Float32Array<ArrayBuffer>): void {
    if (this.over || this.ending) return;
    const queued = this.waiting.length * frame.length + this.socket.bufferedAmount / SAMPLE_BYTES;
    if (queued > LONGEST_WAIT * RATE) this.end(null, "The connection is too slow for speech.");
    else if (this.opened) this.socket.send(frame);
    else this.waiting.push(frame);
  }

  /** No sound follows: what is known of it is still told. */
  finish(): void {
    if (this.over || this.ending) return;
    this.ending = true;
    this.timer = window.setTimeout(() => this.end(null, "The server did not say what it heard."), LONGEST_END);
    if (this.opened) this.stop();
  }

  /** Give it up; nothing more is told. */
  drop(): void {
    this.over = true;
    this.close();
  }

  private stop(): void {
    this.socket.send('{"type":"stop"}');
  }

  private take({ type, word, text, message: problem }: Record<string, unknown>): void {
    if (this.over) return;
    if (type === "word" && typeof word === "string") {
      this.words.push(word);
      this.events.onWords(this.words);
    } else if (type === "final") {
      this.end(typeof text === "string" ? text.trim() : null, null);
    } else if (type === "error") {
      this.end(null, said(problem));
    }
  }

  private closed(): void {
    if (!this.opened) this.end(null, "The server does not listen now. Try again in a moment.");
    else this.end(null, this.ending && this.words.length > 0 ? null : "The connection broke off.");
  }

  private end(text: string | null, problem: string | null): void {
    if (this.over) return;
    this.over = true;
    this.close();
    this.events.onOver(text, problem);
  }

  private close(): void {
    clearTimeout(this.timer);
    this.waiting = [];
    this.socket.close();
  }
}
