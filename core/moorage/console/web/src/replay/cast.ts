// asciicast recordings of versions 2 and 3, read while they arrive and played from any place. Knows no page.
//
// Memory: what was read stays as packed blocks, about a tenth of the file's bytes for what terminals write and never
// more than them, and unpacked are the block that is being filled and the last two that were played (256 KiB of text
// each). Beside that: a place to start from for each 64 KiB at most, and the first 10 000 markers.

interface Header {
  version: 2 | 3;
  cols: number;
  rows: number;
  title: string | null;
  /** Seconds since 1970. */
  startedAt: number | null;
}

/** `time`: seconds from the beginning. `code`: `o` output, `i` input, `r` size, `m` marker, `x` exit. */
export interface CastEvent {
  time: number;
  code: string;
  data: string;
}

export interface Marker {
  time: number;
  label: string;
}

export interface Size {
  cols: number;
  rows: number;
}

/** A place from which all that follows can be drawn: event `index` of a block draws the whole screen anew. */
export interface Start extends Size {
  block: number;
  index: number;
  time: number;
}

/** The file is not a recording that can be played at all. */
export class CastError extends Error {}

interface Block {
  /** When the last event before it was. */
  before: number;
  events: number;
  bytes: Uint8Array<ArrayBuffer>;
  packed: boolean;
}

const BLOCK_BYTES = 256 * 1024;
const START_EVERY = 64 * 1024;
const MAX_LINE = 8 * 1024 * 1024;
const MAX_MARKERS = 10_000;
const MAX_LABEL = 256;
const MAX_SECONDS = 1e9;
const NEWLINE = 10;
/** How output begins that draws everything anew: a full reset, from the alternate screen or not. */
const REDRAW = /^(?:\x1b\[\?1049l)?\x1bc/;

const decoder = new TextDecoder();

export class Cast {
  header: Header | null = null;
  /** When the last event was, in seconds from the beginning. */
  duration = 0;
  /** Bytes that were taken. */
  bytes = 0;
  /** Lines that are no events. */
  broken = 0;
  /** True once nothing more comes. */
  complete = false;
  readonly markers: Marker[] = [];
  private readonly blocks: Block[] = [];
  private readonly starts: Start[] = [];
  private readonly recent = new Map<number, CastEvent[]>();
  private carry: Uint8Array<ArrayBuffer> = new Uint8Array(0);
  private tooLong = false;
  private size: Size = { cols: 80, rows: 24 };
  private sinceStart = 0;

  /** Take the next bytes of the file. Waits for packing, so that a fast network does not pile up. CastError. */
  async push(chunk: Uint8Array): Promise<void> {
    if (chunk.length === 0) return;
    this.bytes += chunk.length;
    let rest = joined(this.carry, chunk);
    // Whole lines, about a block at a time.
    for (;;) {
      let end = rest.lastIndexOf(NEWLINE, BLOCK_BYTES - 1);
      if (end < 0) end = rest.indexOf(NEWLINE);
      if (end < 0) break;
      const lines = rest.subarray(0, end + 1);
      rest = rest.subarray(end + 1);
      if (this.tooLong) {
        // The end of a line whose beginning was dropped.
        this.tooLong = false;
        const next = lines.indexOf(NEWLINE) + 1;
        if (next < lines.length) await this.add(lines.slice(next));
      } else {
        await this.add(lines.slice());
      }
    }
    if (rest.length > MAX_LINE) {
      if (!this.tooLong) this.broken += 1;
      this.tooLong = true;
      rest = rest.subarray(rest.length);
    }
    this.carry = rest.slice();
  }

  /** Nothing more comes. What is left without an end of line counts if it is whole. CastError. */
  async end(): Promise<void> {
    const rest = this.carry;
    this.carry = new Uint8Array(0);
    if (rest.length > 0 && !this.tooLong) await this.add(joined(rest, new Uint8Array([NEWLINE])));
    if (this.header === null) throw new CastError("The recording is empty.");
    this.complete = true;
  }

  /** The last place at or before `time` from which can be drawn. */
  startFor(time: number): Start {
    let low = 0;
    let high = this.starts.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.starts[middle] as Start).time <= time) low = middle + 1;
      else high = middle;
    }
    const { cols, rows } = this.header ?? this.size;
    return this.starts[low - 1] ?? { block: 0, index: 0, time: 0, cols, rows };
  }

  /** How many events a block has so far; null where there is none (yet). */
  countOf(block: number): number | null {
    return this.blocks[block]?.events ?? null;
  }

  /** A block's events. */
  async read(number: number): Promise<CastEvent[]> {
    const block = this.blocks[number] as Block;
    const known = this.recent.get(number);
    if (known && known.length === block.events) return known;
    const { before, packed } = block;
    const bytes = packed ? await through(block.bytes, new DecompressionStream("deflate-raw")) : block.bytes;
    const events: CastEvent[] = [];
    readLines(decoder.decode(bytes), this.version, before, (event) => event && events.push(event));
    this.recent.delete(number);
    this.recent.set(number, events);
    for (const old of this.recent.keys()) {
      if (this.recent.size <= 2) break;
      this.recent.delete(old);
    }
    return events;
  }

  private get version(): 2 | 3 {
    return this.header?.version ?? 3;
  }

  private async add(lines: Uint8Array<ArrayBuffer>): Promise<void> {
    if (this.header === null) {
      const end = lines.indexOf(NEWLINE);
      const first = decoder.decode(lines.subarray(0, end)).trim();
      if (first !== "") {
        this.header = readHeader(first);
        this.size = { cols: this.header.cols, rows: this.header.rows };
      }
      if (end + 1 < lines.length) await this.add(lines.slice(end + 1));
      return;
    }
    const open = this.open();
    const block = this.blocks[open] as Block;
    readLines(decoder.decode(lines), this.header.version, this.duration, (event) => this.index(event, open, block));
    block.bytes = joined(block.bytes, lines);
    if (block.bytes.length >= BLOCK_BYTES) await this.seal(block);
  }

  /** The number of the block that is being filled. */
  private open(): number {
    const last = this.blocks.at(-1);
    if (!last || last.packed || last.bytes.length >= BLOCK_BYTES) {
      this.blocks.push({ before: this.duration, events: 0, bytes: new Uint8Array(0), packed: false });
    }
    return this.blocks.length - 1;
  }

  private async seal(block: Block): Promise<void> {
    const small = await through(block.bytes, new CompressionStream("deflate-raw"));
    if (small.length >= block.bytes.length) return;
    block.bytes = small;
    block.packed = true;
  }

  private index(event: CastEvent | null, number: number, block: Block): void {
    if (event === null) {
      this.broken += 1;
      return;
    }
    this.duration = event.time;
    if (event.code === "o") {
      this.sinceStart += event.data.length;
      if (REDRAW.test(event.data) && (this.starts.length === 0 || this.sinceStart >= START_EVERY)) {
        this.starts.push({ block: number, index: block.events, time: event.time, ...this.size });
        this.sinceStart = 0;
      }
    } else if (event.code === "r") {
      this.size = sizeOf(event.data) ?? this.size;
    } else if (event.code === "m" && this.markers.length < MAX_MARKERS) {
      this.markers.push({ time: event.time, label: event.data.slice(0, MAX_LABEL) });
    }
    block.events += 1;
  }
}

/** Goes through a recording's events, also while it grows. */
export class Reader {
  private events: CastEvent[] = [];

  constructor(
    private readonly cast: Cast,
    private block = 0,
    private index = 0,
  ) {}

  /** The event that comes next; undefined where `load` has to be asked. */
  get head(): CastEvent | undefined {
    return this.events[this.index];
  }

  step(): void {
    this.index += 1;
  }

  /** Whether `start` lies behind the event that comes next. */
  isPast(start: Start): boolean {
    return start.block < this.block || (start.block === this.block && start.index <= this.index);
  }

  /** Fetch what comes next; false when there is nothing more, or nothing yet. */
  async load(): Promise<boolean> {
    while (this.head === undefined) {
      const count = this.cast.countOf(this.block);
      if (count === null) return false;
      if (count > this.index) {
        this.events = await this.cast.read(this.block);
        if (this.head === undefined) return false;
      } else if (this.cast.countOf(this.block + 1) !== null) {
        this.block += 1;
        this.index = 0;
        this.events = [];
      } else {
        return false;
      }
    }
    return true;
  }
}

/** "80x24" as numbers that a terminal can have; null for anything else. */
export function sizeOf(text: string): Size | null {
  const found = /^(\d{1,4})x(\d{1,4})$/.exec(text);
  return found ? possible(Number(found[1]), Number(found[2])) : null;
}

function possible(cols: unknown, rows: unknown): Size | null {
  const fits = (value: unknown): value is number => Number.isInteger(value) && (value as number) >= 1 && (value as number) <= 1000;
  return fits(cols) && fits(rows) ? { cols, rows } : null;
}

function readHeader(line: string): Header {
  let said: unknown;
  try {
    said = JSON.parse(line);
  } catch {
    throw new CastError("This is not a recording: its first line is no header.");
  }
  const fields = isObject(said) ? said : {};
  const version = fields["version"];
  if (version !== 2 && version !== 3) {
    throw new CastError(`Only asciicast versions 2 and 3 can be played, not ${JSON.stringify(version) ?? "this"}.`);
  }
  const term = isObject(fields["term"]) ? fields["term"] : {};
  const size = version === 3 ? possible(term["cols"], term["rows"]) : possible(fields["width"], fields["height"]);
  if (size === null) throw new CastError("The recording does not say how large its terminal was.");
  const { title, timestamp } = fields;
  return {
    version,
    ...size,
    title: typeof title === "string" ? title : null,
    startedAt: typeof timestamp === "number" ? timestamp : null,
  };
}

/** Tell each line's event, null for one that is none. A time never goes back. */
function readLines(text: string, version: 2 | 3, before: number, tell: (event: CastEvent | null) => void): void {
  let time = before;
  for (const line of text.split("\n")) {
    if (line === "" || line === "\r" || line.startsWith("#")) continue;
    const event = readEvent(line);
    if (event !== null) {
      time = version === 3 ? time + Math.max(0, event.time) : Math.max(time, event.time);
      event.time = time;
    }
    tell(event);
  }
}

function readEvent(line: string): CastEvent | null {
  let said: unknown;
  try {
    said = JSON.parse(line);
  } catch {
    return null;
  }
  if (!Array.isArray(said)) return null;
  const [time, code, data] = said as unknown[];
  if (typeof time !== "number" || !(Math.abs(time) <= MAX_SECONDS)) return null;
  return typeof code === "string" && typeof data === "string" ? { time, code, data } : null;
}

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value);

function joined(first: Uint8Array, second: Uint8Array): Uint8Array<ArrayBuffer> {
  const whole = new Uint8Array(first.length + second.length);
  whole.set(first);
  whole.set(second, first.length);
  return whole;
}

async function through(bytes: Uint8Array<ArrayBuffer>, stream: CompressionStream | DecompressionStream): Promise<Uint8Array<ArrayBuffer>> {
  return new Uint8Array(await new Response(new Blob([bytes]).stream().pipeThrough(stream)).arrayBuffer());
}
