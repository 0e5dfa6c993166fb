// What somebody says, as text where the others type: at the caret, and whatever is typed meanwhile stays.
import { Ear, type EarPhase } from "./ear";
import { chosen, type Voice } from "./offered";
import { reader } from "./reader";
import { Watched } from "./watched";

/** The field that is dictated into. */
export interface Field {
  /** The text, and from where to where it is selected. */
  read: () => { text: string; from: number; to: number };
  write: (text: string, caret: number) => void;
  /** To the keys: where there are some, Enter sends and Escape gives up. */
  focus: () => void;
  /** Hands-free, when somebody has finished. */
  send: () => void;
}

const gap = (before: string, after: string): string => (before === "" || after === "" || /\s$/u.test(before) || /^[\s.,;:!?]/u.test(after) ? "" : " ");

class Dictation extends Watched {
  phase: EarPhase = "over";
  problem: string | null = null;
  readonly volume = new Volume();
  private ear: Ear | null = null;
  private field: Field | null = null;
  private before = "";
  private after = "";
  /** Words of this utterance that have been typed over: they are part of the text. */
  private settled = 0;
  private words: readonly string[] = [];
  private heard = false;
  /** Somebody wants it sent as soon as it is all there. */
  private sends = false;
  /** Somebody talks hands-free, from pressing the button until it is pressed again. */
  talking = false;

  get on(): boolean {
    return this.phase !== "over";
  }

  /** Listen for a field. Hands-free, it goes on by `goOn`. */
  begin(voice: Voice, field: Field): void {
    if (voice.hears === null || this.on) return;
    // Not what the machine itself says.
    reader.stop();
    this.talking = chosen.now.handsFree;
    this.listen(voice, voice.hears, field);
  }

  /** Listen again for whoever talks hands-free, now that the answer is told. */
  goOn(voice: Voice, field: Field): void {
    if (this.talking && !this.on && voice.hears !== null) this.listen(voice, voice.hears, field);
  }

  /** The person has finished; the rest of the words comes. */
  finish(): void {
    this.talking = false;
    this.ear?.finish();
  }

  /** The person has finished, and it is to be sent. */
  send(): void {
    this.sends = true;
    this.ear?.finish();
  }

  /** Not one word more. */
  end(): void {
    this.talking = false;
    this.ear?.end(null);
    this.changed();
  }

  /** The field goes away: hands-free, another may take its place. */
  leave(): void {
    const { talking } = this;
    this.end();
    this.talking = talking;
  }

  /** Somebody has typed: that stays as it is, and what is said after comes where the caret is now. */
  typed(): void {
    if (!this.on) return;
    this.settled = this.words.length;
    this.place();
  }

  private listen(voice: Voice, url: string, field: Field): void {
    this.field = field;
    this.problem = null;
    this.heard = false;
    this.sends = false;
    this.place();
    this.ear = new Ear(
      { url, silence: this.talking ? voice.silence : null },
      {
        onHeard: (words, over) => this.hear(words, over),
        onPhase: (phase) => {
          this.phase = phase;
          this.changed();
        },
        onLevel: (level) => this.volume.turn(level),
        onOver: (problem) => this.over(problem),
      },
    );
    this.phase = this.ear.phase;
    this.changed();
  }

  private place(): void {
    const { text, from, to } = this.field?.read() ?? { text: "", from: 0, to: 0 };
    this.before = text.slice(0, from);
    this.after = text.slice(to);
  }

  private hear(words: readonly string[], over: boolean): void {
    this.words = words;
    const said = words.slice(this.settled).join(" ");
    const until = this.before + gap(this.before, said) + said;
    const after = gap(said, this.after) + this.after;
    if (said !== "") {
      this.heard = true;
      this.field?.write(until + after, until.length);
    }
    if (!over) return;
    this.settled = 0;
    this.words = [];
    // What is said next follows it.
    if (said !== "") [this.before, this.after] = [until, after];
  }

  private over(problem: string | null): void {
    this.ear = null;
    this.phase = "over";
    this.volume.turn(0);
    this.problem = problem;
    if (problem !== null) this.talking = false;
    const { field, heard, talking, sends } = this;
    this.changed();
    if (problem === null && (sends || (talking && heard))) field?.send();
  }
}

/** How loud it is: apart, for it changes all the time. */
class Volume extends Watched {
  level = 0;

  turn(level: number): void {
    this.level = level;
    this.changed();
  }
}

/** One machine has one microphone. */
export const dictation = new Dictation();
