// Plays a recording into a terminal: pace, pauses, places. Knows no page, only clocks.
import { type Cast, type CastEvent, Reader, sizeOf, type Start } from "./cast";

/** What draws. `done` is called once a text was drawn. */
export interface Sink {
  write(text: string, done?: () => void): void;
  resize(cols: number, rows: number): void;
}

/** A longer silence is cut down to this, in seconds, where silences are skipped. */
export const IDLE = 2;
export const SPEEDS = [0.5, 1, 2, 4, 8] as const;
/** How far behind a recording that goes on its newest part is played: as often as more of it is fetched. */
export const BEHIND = 2;

const RESET = "\x1b[?1049l\x1bc";
/** Characters that wait for the terminal before no more are given to it. */
const WAITING = 512 * 1024;
const BATCH = 64 * 1024;

export class Player {
  playing = false;
  /** A place was chosen and is being drawn. */
  seeking = false;
  private pace = 1;
  private skips = true;
  private reader: Reader;
  /** The time of the last event that was drawn. */
  private drawn = 0;
  private fresh = true;
  /** Where the clock stood, and when that was. */
  private anchor = { time: 0, at: 0 };
  private run = 0;
  private job: Promise<void> = Promise.resolve();
  private wake: () => void = () => undefined;
  private waiting = 0;
  private drained: () => void = () => undefined;

  /** onChange: it plays or pauses, or a place was reached. */
  constructor(
    private readonly cast: Cast,
    private readonly sink: Sink,
    private readonly onChange: () => void,
  ) {
    this.reader = new Reader(cast);
  }

  /** The place that is shown, in seconds from the beginning. */
  get time(): number {
    const { time, at } = this.anchor;
    if (!this.playing || this.seeking) return time;
    const now = time + ((performance.now() - at) / 1000) * this.pace;
    return Math.max(time, Math.min(now, this.cast.duration));
  }

  get atEnd(): boolean {
    return this.time >= this.cast.duration;
  }

  get speed(): number {
    return this.pace;
  }

  set speed(speed: number) {
    this.change(() => {
      this.pace = speed;
    });
  }

  get skipIdle(): boolean {
    return this.skips;
  }

  set skipIdle(on: boolean) {
    this.change(() => {
      this.skips = on;
    });
  }

  /** From the place that is shown, or from the beginning when that is the end. */
  play(): void {
    if (this.playing) return;
    if (this.cast.complete && this.atEnd) this.anchor.time = 0;
    const to = this.anchor.time;
    this.anchor.at = performance.now();
    this.playing = true;
    this.start(to < this.drawn || this.fresh ? to : null);
  }

  pause(): void {
    this.change(() => {
      this.playing = false;
    });
  }

  /** Show the place `time`, and go on playing from there if it plays. */
  seek(time: number): void {
    this.anchor = { time: Math.max(0, Math.min(time, this.cast.duration)), at: performance.now() };
    this.start(this.anchor.time);
  }

  /** The recording has grown, or is complete. */
  grown(): void {
    this.wake();
  }

  /** Draw nothing any more. */
  end(): void {
    this.playing = false;
    this.run += 1;
    this.wake();
  }

  private change(how: () => void): void {
    const time = this.time;
    how();
    this.anchor = { time, at: performance.now() };
    if (!this.seeking) this.start(null);
    this.onChange();
  }

  /** Leave off what is done, then draw `place` if one is given, then play on. */
  private start(place: number | null): void {
    this.run += 1;
    const run = this.run;
    this.seeking = place !== null;
    this.wake();
    this.drained();
    this.job = this.job.then(async () => {
      if (run !== this.run) return;
      if (place !== null) {
        await this.draw(place, run);
        if (run !== this.run) return;
        this.seeking = false;
        this.anchor.at = performance.now();
        this.onChange();
      }
      if (this.playing) await this.follow(run);
    });
    this.onChange();
  }

  /** Draw the screen as it was at `time`, from the nearest place before it. */
  private async draw(time: number, run: number): Promise<void> {
    const start = this.cast.startFor(time);
    if (this.fresh || time < this.drawn || !this.reader.isPast(start)) this.begin(start);
    let batch = "";
    for (;;) {
      const event = this.reader.head ?? ((await this.reader.load()) ? this.reader.head : undefined);
      const over = event === undefined || event.time > time || run !== this.run;
      if (batch !== "" && (over || batch.length >= BATCH || event.code === "r")) {
        this.write(batch);
        batch = "";
        if (!over) await this.room(run);
      }
      if (over || run !== this.run) return;
      this.reader.step();
      this.drawn = event.time;
      if (event.code === "o") batch += event.data;
      else await this.show(event, run);
    }
  }

  private begin(start: Start): void {
    this.reader = new Reader(this.cast, start.block, start.index);
    this.drawn = start.time;
    this.fresh = false;
    this.sink.resize(start.cols, start.rows);
    this.write(RESET);
  }

  /** Play until the end, or until something else is to be done. */
  private async follow(run: number): Promise<void> {
    while (run === this.run) {
      const event = this.reader.head ?? ((await this.reader.load()) ? this.reader.head : undefined);
      if (run !== this.run) return;
      if (event === undefined) {
        if (this.cast.complete) {
          this.playing = false;
          this.anchor.time = this.cast.duration;
          this.onChange();
          return;
        }
        await this.more();
        continue;
      }
      const gap = event.time - this.time;
      if (gap > 0) {
        const skipped = this.skips && gap > IDLE;
        const seconds = (skipped ? IDLE : gap) / this.pace;
        await this.sleep(seconds);
        if (run !== this.run) return;
        if (skipped) this.anchor = { time: event.time, at: performance.now() };
        continue;
      }
      this.reader.step();
      this.drawn = event.time;
      await this.show(event, run);
    }
  }

  /** At the end of what has come so far. */
  private async more(): Promise<void> {
    const before = this.cast.duration;
    this.anchor = { time: before, at: performance.now() };
    await this.sleep(Infinity);
    // The newest part is played at its pace; what lies further back is drawn at once.
    if (this.cast.duration > before) {
      this.anchor = { time: Math.max(before, this.cast.duration - BEHIND), at: performance.now() };
    }
  }

  private async show(event: CastEvent, run: number): Promise<void> {
    if (event.code === "o") {
      this.write(event.data);
      if (this.waiting > WAITING) await this.room(run);
      return;
    }
    const size = event.code === "r" ? sizeOf(event.data) : null;
    if (size === null) return;
    // What came before is drawn in the old size, whatever is to be done next.
    await this.room(null, 0);
    this.sink.resize(size.cols, size.rows);
  }

  private write(text: string): void {
    this.waiting += text.length;
    this.sink.write(text, () => {
      this.waiting -= text.length;
      this.drained();
    });
  }

  /** Wait until the terminal has drawn all but `left` characters, or until `run` is not what is done any more. */
  private async room(run: number | null, left = WAITING): Promise<void> {
    while (this.waiting > left && (run === null || run === this.run)) {
      await new Promise<void>((resolve) => {
        this.drained = resolve;
      });
    }
  }

  private sleep(seconds: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = Number.isFinite(seconds) ? setTimeout(() => this.wake(), seconds * 1000) : undefined;
      this.wake = () => {
        clearTimeout(timer);
        this.wake = () => undefined;
        resolve();
      };
    });
  }
}
