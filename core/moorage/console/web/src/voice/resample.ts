// Sound at another rate: band-limited interpolation by a windowed sinc (J. O. Smith, "Digital Audio Resampling").
//
// Browsers could resample by themselves, but not each lets a microphone into an audio graph of another rate.

/** Zero crossings of the sinc on either side: the steeper, the more of them. */
const ZEROS = 16;
/** Entries of the table for each input sample; between them it is interpolated. */
const STEPS = 256;
/** Part of the band that is kept; the filter's slope is above it. */
const BAND = 0.92;

/** One stream. It holds back some samples, half the filter's length, until more comes. */
export class Resampler {
  /** Input samples for each output sample. */
  private readonly step: number;
  /** Half the filter's length, in input samples. */
  private readonly half: number;
  private readonly table: Float64Array;
  private rest: Float32Array;
  /** Where in `rest` the next output sample is. */
  private at: number;

  constructor(
    private readonly from: number,
    private readonly to: number,
  ) {
    const cutoff = Math.min(1, to / from) * BAND;
    this.step = from / to;
    this.half = Math.ceil(ZEROS / cutoff);
    this.table = kernel(cutoff, this.half);
    this.rest = new Float32Array(this.half);
    this.at = this.half;
  }

  push(input: Float32Array): Float32Array {
    if (this.from === this.to) return input.slice();
    const all = new Float32Array(this.rest.length + input.length);
    all.set(this.rest);
    all.set(input, this.rest.length);
    const output = new Float32Array(Math.max(0, Math.ceil((all.length - this.half - this.at) / this.step)));
    let count = 0;
    for (; this.at + this.half < all.length && count < output.length; this.at += this.step) output[count++] = this.sample(all);
    const past = Math.max(0, Math.floor(this.at) - this.half);
    this.rest = all.slice(past);
    this.at -= past;
    return output.subarray(0, count);
  }

  private sample(all: Float32Array): number {
    const first = Math.max(0, Math.ceil(this.at - this.half));
    const last = Math.min(all.length - 1, Math.floor(this.at + this.half));
    let sum = 0;
    for (let index = first; index <= last; index += 1) {
      const place = Math.abs(index - this.at) * STEPS;
      const entry = Math.floor(place);
      const low = this.table[entry] ?? 0;
      sum += (all[index] ?? 0) * (low + (place - entry) * ((this.table[entry + 1] ?? 0) - low));
    }
    return sum;
  }
}

/** The right half of a sinc with this cutoff (1: half the input's rate) under a Blackman window. */
function kernel(cutoff: number, half: number): Float64Array {
  const table = new Float64Array(half * STEPS + 2);
  for (let index = 0; index <= half * STEPS; index += 1) {
    const x = index / STEPS;
    const angle = Math.PI * cutoff * x;
    const window = 0.42 + 0.5 * Math.cos((Math.PI * x) / half) + 0.08 * Math.cos((2 * Math.PI * x) / half);
    table[index] = cutoff * (x === 0 ? 1 : Math.sin(angle) / angle) * window;
  }
  return table;
}
