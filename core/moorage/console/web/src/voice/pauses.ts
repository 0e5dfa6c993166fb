// When somebody has finished: by the words that came, and by how loud it is, for words come late.
import { RATE } from "./format";

/** Root mean square of a frame below which nobody speaks, whatever the noise. */
const FAINT = 0.006;
/** So many times as loud as the noise speech is. */
const ABOVE_NOISE = 3;
/** How the noise is followed from one frame to the next: up slowly, down at once. */
const RISE = 1.005;
/** Speech that lasted so many seconds was no cough. */
const ENOUGH = 0.25;
/** Where it never becomes quiet, the words alone tell: after so many times the silence. */
const NOISY = 4;

export class Pauses {
  private noise = FAINT / ABOVE_NOISE;
  /** Samples since it was loud, since a word came, and that were loud. */
  private quiet = 0;
  private wordless = 0;
  private loud = 0;

  /** The next frame: gives how loud it is, 0 to 1. */
  take(frame: Float32Array): number {
    let sum = 0;
    for (const sample of frame) sum += sample * sample;
    const level = Math.sqrt(sum / frame.length);
    this.noise = Math.min(Math.max(level, 1e-5), this.noise * RISE);
    this.wordless += frame.length;
    if (level > Math.max(FAINT, this.noise * ABOVE_NOISE)) {
      this.quiet = 0;
      this.loud += frame.length;
    } else this.quiet += frame.length;
    return Math.min(1, level * 5);
  }

  /** Somebody begins anew. The noise is what it was. */
  anew(): void {
    this.quiet = 0;
    this.wordless = 0;
    this.loud = 0;
  }

  word(): void {
    this.wordless = 0;
  }

  /** Whether what was said is followed by a silence of so many milliseconds. */
  finished(silence: number, words: boolean): boolean {
    const samples = (silence / 1000) * RATE;
    if (!words) return this.loud > ENOUGH * RATE && this.quiet > 2 * samples;
    return this.wordless > samples && (this.quiet > samples || this.wordless > NOISY * samples);
  }
}
