// Runs in the audio thread: what the microphone hears, mono whatever it is, as frames at the rate that goes to the server.
import { CAPTURE, FRAME, RATE } from "./format";
import { Resampler } from "./resample";

// The types of this place are in none of TypeScript's libraries.
declare const sampleRate: number;
declare class AudioWorkletProcessor {
  readonly port: MessagePort;
}
declare function registerProcessor(name: string, processor: new () => AudioWorkletProcessor): void;

class Capture extends AudioWorkletProcessor {
  private readonly resampler = new Resampler(sampleRate, RATE);
  private frame = new Float32Array(FRAME);
  private filled = 0;

  /** Called for each 128 samples. True: there is more to do. */
  process([input]: Float32Array[][]): boolean {
    const samples = input?.[0];
    // None while the microphone is being put in or taken out.
    if (samples === undefined) return true;
    for (const sample of this.resampler.push(samples)) {
      // The filter may ring beyond what is allowed.
      this.frame[this.filled] = Math.max(-1, Math.min(1, sample));
      this.filled += 1;
      if (this.filled < FRAME) continue;
      this.port.postMessage(this.frame, [this.frame.buffer]);
      this.frame = new Float32Array(FRAME);
      this.filled = 0;
    }
    return true;
  }
}

registerProcessor(CAPTURE, Capture);
