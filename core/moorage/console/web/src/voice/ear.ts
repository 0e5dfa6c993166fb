// Listening to somebody: one microphone, and one utterance after another for as long as it is wanted.
import { Microphone, Unheard } from "./microphone";
import { RATE } from "./format";
import { Pauses } from "./pauses";
import { Utterance } from "./utterance";

/** opening: the microphone is asked for. ending: the rest of the words is waited for. */
export type EarPhase = "opening" | "listening" | "ending" | "over";

interface EarOptions {
  url: string;
  /** In milliseconds, where a silence ends it; null: only the person does. */
  silence: number | null;
}

interface EarEvents {
  /** The words of this utterance so far. `over`: that was all, and another begins. */
  onHeard: (words: readonly string[], over: boolean) => void;
  onPhase: (phase: EarPhase) => void;
  /** How loud it is, 0 to 1, some ten times a second. */
  onLevel: (level: number) => void;
  /** Once, at the end; a problem in words, or null. */
  onOver: (problem: string | null) => void;
}

/** Who leaves the microphone on is not listened to for ever, in seconds. */
const LONGEST_SILENCE = 60;
/** A server that is done with less than this, in seconds, and has heard nothing, listens to nobody. */
const SHORTEST = 0.5;
/** Frames between two levels. */
const LEVEL_EVERY = 3;

export class Ear {
  phase: EarPhase = "opening";
  private readonly gone = new AbortController();
  private microphone: Microphone | null = null;
  private utterance: Utterance | null = null;
  private words: readonly string[] = [];
  private readonly pauses = new Pauses();
  /** Samples since something was heard. */
  private silent = 0;
  /** Samples of this utterance. */
  private given = 0;
  private frames = 0;

  constructor(
    private readonly options: EarOptions,
    private readonly events: EarEvents,
  ) {
    const heard = { onFrame: (frame: Float32Array<ArrayBuffer>) => this.frame(frame), onLost: (problem: string) => this.end(problem) };
    Microphone.open(heard, this.gone.signal).then(
      (microphone) => {
        this.microphone = microphone;
        if (microphone !== null) this.turn("listening");
      },
      (error: unknown) => this.end(error instanceof Unheard ? error.message : String(error)),
    );
  }

  /** The person has finished: the microphone is off at once, and the rest of the words comes. */
  finish(): void {
    if (this.phase === "opening") return this.end(null);
    if (this.phase !== "listening") return;
    this.off();
    if (this.utterance === null) return this.end(null);
    this.turn("ending");
    this.utterance.finish();
  }

  /** Nobody listens any more: what was heard is what there is. */
  end(problem: string | null): void {
    if (this.phase === "over") return;
    this.gone.abort();
    this.off();
    this.utterance?.drop();
    this.utterance = null;
    this.turn("over");
    this.events.onOver(problem);
  }

  private off(): void {
    this.microphone?.close();
    this.microphone = null;
  }

  private turn(phase: EarPhase): void {
    this.phase = phase;
    this.events.onPhase(phase);
  }

  private frame(frame: Float32Array<ArrayBuffer>): void {
    if (this.phase === "opening" || this.phase === "listening") this.hear(frame);
  }

  private hear(frame: Float32Array<ArrayBuffer>): void {
    const level = this.pauses.take(frame);
    this.frames += 1;
    if (this.frames % LEVEL_EVERY === 0) this.events.onLevel(level);
    this.silent += frame.length;
    this.utterance ??= this.begin();
    this.given += frame.length;
    this.utterance.send(frame);
    const { silence } = this.options;
    if (silence !== null && this.pauses.finished(silence, this.words.length > 0)) this.finish();
    else if (this.silent > LONGEST_SILENCE * RATE) this.end("Nothing was heard for a minute, so the microphone is off again.");
  }

  private begin(): Utterance {
    this.words = [];
    this.given = 0;
    this.pauses.anew();
    const mine: Utterance = new Utterance(this.options.url, {
      onWords: (words) => {
        this.words = words;
        this.silent = 0;
        this.pauses.word();
        this.events.onHeard(words, false);
      },
      onOver: (text, problem) => {
        if (this.utterance === mine) this.said(text, problem);
      },
    });
    return mine;
  }

  /** An utterance is over. The whole comes once more: engines mend what they heard, and set the marks of sentences. */
  private said(text: string | null, problem: string | null): void {
    this.utterance = null;
    const words = text === null ? this.words : text.split(/\s+/u).filter(Boolean);
    if (words.length > 0) this.silent = 0;
    this.events.onHeard(words, true);
    this.words = [];
    if (problem !== null) this.end(problem);
    else if (this.phase === "ending" || (this.options.silence !== null && words.length > 0)) this.end(null);
    // The server ended it by itself: whoever speaks on is heard on another connection.
    else if (words.length === 0 && this.given < SHORTEST * RATE) this.end("The server does not listen now. Try again in a moment.");
  }
}
