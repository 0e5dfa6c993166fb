// Reading aloud: sentences go to the server that speaks (kokorox's protocol), one at a time, and its sound is played.
//
// No sentence is asked for long before it is played: a long answer is as little work as somebody listens to of it.
import { message } from "./message";
import { chosen, type Voice } from "./offered";
import { Watched } from "./watched";

const RATE = 24_000;
/** So much sound is at hand ahead of what is played, in seconds. */
const AHEAD = 8;
/** So long the browser may take to begin to play, in milliseconds. */
const LONGEST_START = 5_000;
/** So long a sentence is waited for, in milliseconds. */
const LONGEST_WAIT = 60_000;

/** Gives the sentences of a text that grows; see `Speakable`. */
export interface Sentences {
  take: (source: string, whole: boolean) => string[];
}

export class Reader extends Watched {
  /** What is read: whatever it was begun with. */
  key: unknown = null;
  problem: string | null = null;
  private one: Reading | null = null;

  /** Read something; its text comes by `feed`. Call it where somebody has pressed something: browsers play nothing else. */
  begin(key: unknown, voice: Voice, sentences: Promise<Sentences>): void {
    this.stop();
    if (voice.speaks === null) return;
    this.key = key;
    this.problem = null;
    const over = (problem: string | null) => {
      this.one = null;
      this.key = null;
      this.problem = problem;
      this.changed();
    };
    try {
      this.one = new Reading(voice.speaks, voice, sentences, over);
    } catch {
      over("The browser cannot play sound.");
    }
    this.changed();
  }

  /** The text as far as it is known. */
  feed(key: unknown, source: string, whole: boolean): void {
    if (key === this.key) this.one?.feed(source, whole);
  }

  stop(): void {
    this.problem = null;
    this.one?.end(null);
    this.changed();
  }
}

class Reading {
  private readonly context = new AudioContext({ sampleRate: RATE });
  private readonly socket: WebSocket;
  private sentences: Sentences | null = null;
  private source = "";
  private whole = false;
  private queue: string[] = [];
  /** A sentence is being made. */
  private asked = false;
  /** The voice is set, or there is none to set. */
  private ready = false;
  /** Sound that is being decoded, one after the other. */
  private decoding: Promise<void> = Promise.resolve();
  private decodes = 0;
  private playing = 0;
  /** The context's time at which the last of the sound ends. */
  private until = 0;
  private over = false;
  private timer = 0;

  constructor(
    url: string,
    private readonly voice: Voice,
    sentences: Promise<Sentences>,
    private readonly onOver: (problem: string | null) => void,
  ) {
    void this.context.resume();
    this.socket = new WebSocket(url);
    this.socket.onopen = () => {
      const name = chosen.now.voice ?? voice.voice;
      if (name === null) return this.begin();
      this.say({ command: "set_voice", voice: name });
      this.wait();
    };
    this.socket.onmessage = ({ data }: MessageEvent<unknown>) => this.take(message(data));
    this.socket.onclose = () => this.broke();
    sentences.then(
      (found) => {
        this.sentences = found;
        this.split();
      },
      () => this.end("The page could not be loaded whole. Load it again."),
    );
  }

  feed(source: string, whole: boolean): void {
    this.source = source;
    this.whole = whole;
    this.split();
  }

  end(problem: string | null): void {
    if (this.over) return;
    this.over = true;
    clearTimeout(this.timer);
    this.socket.onclose = null;
    this.socket.close();
    void this.context.close();
    this.onOver(problem);
  }

  private begin(): void {
    clearTimeout(this.timer);
    this.ready = true;
    this.pump();
  }

  private say(command: Record<string, unknown>): void {
    this.socket.send(JSON.stringify(command));
  }

  private split(): void {
    if (this.over || this.sentences === null) return;
    this.queue.push(...this.sentences.take(this.source, this.whole));
    this.pump();
  }

  /** Ask for the next sentence when it is time, and end when all is said. */
  private pump(): void {
    if (this.over || !this.ready || this.asked || this.decodes > 0) return;
    const next = this.queue[0];
    if (next === undefined) {
      if (this.sentences !== null && this.whole && this.playing === 0) this.end(null);
      return;
    }
    if (this.socket.readyState !== WebSocket.OPEN || this.until - this.context.currentTime > AHEAD) return;
    this.queue.shift();
    this.asked = true;
    const { voice, speed } = chosen.now;
    const fast = speed ?? this.voice.speed;
    const detect = this.voice.detects && voice === null ? { auto_detect: true } : {};
    this.say({ command: "synthesize", text: next, ...(fast === null ? {} : { speed: fast }), ...detect });
    this.wait();
  }

  private wait(): void {
    clearTimeout(this.timer);
    this.timer = window.setTimeout(() => this.end("The server does not speak."), LONGEST_WAIT);
  }

  private take({ type, chunk, message: problem }: Record<string, unknown>): void {
    if (this.over) return;
    // A voice that is gone is no reason to say nothing: the server's own speaks then.
    if (!this.ready && (type === "voice_changed" || type === "error")) return this.begin();
    if (type === "audio_chunk" && typeof chunk === "string") {
      this.wait();
      this.decodes += 1;
      this.decoding = this.decoding.then(() => this.play(chunk));
    } else if (type === "synthesis_completed") {
      clearTimeout(this.timer);
      this.asked = false;
      this.pump();
    } else if (type === "error") {
      this.end(told(problem));
    }
  }

  private async play(chunk: string): Promise<void> {
    try {
      const bytes = Uint8Array.from(atob(chunk), (letter) => letter.charCodeAt(0));
      const sound = await this.context.decodeAudioData(bytes.buffer);
      if (!(await this.audible()) || this.over) return;
      const source = new AudioBufferSourceNode(this.context, { buffer: sound });
      source.connect(this.context.destination);
      // A little later where there was a gap: what is begun in the past begins in its midst.
      const at = Math.max(this.until, this.context.currentTime + 0.02);
      this.until = at + sound.duration;
      this.playing += 1;
      source.onended = () => {
        this.playing -= 1;
        this.pump();
      };
      source.start(at);
    } catch {
      this.end("What the server said is no sound that the browser knows.");
    } finally {
      this.decodes -= 1;
      this.pump();
    }
  }

  /** Browsers let pages play nothing before somebody has pressed something in them. */
  private async audible(): Promise<boolean> {
    if (this.context.state === "running") return true;
    await Promise.race([this.context.resume(), new Promise((resolve) => setTimeout(resolve, LONGEST_START))]);
    if (!this.over && this.context.state !== ("running" as AudioContextState)) this.end("The browser plays nothing yet. Press Listen at the answer.");
    return !this.over;
  }

  /** The connection is gone. What is here is still said, where that is all. */
  private broke(): void {
    if (this.whole && !this.asked && this.queue.length === 0) return;
    this.end("The connection to the voice broke off.");
  }
}

const told = (message: unknown): string =>
  typeof message === "string" && message !== "" ? `The server could not say it: ${message}` : "The server could not say it.";

/** One machine has one mouth. */
export const reader = new Reader();
