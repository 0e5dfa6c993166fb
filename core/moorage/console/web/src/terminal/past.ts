// The rows of a pane that the page has of its history, fetched by pages as they are looked at. Knows no page.
import * as api from "../api";
import { sessionPath } from "../tmux";

/** Rows that are fetched at once, and how many such pages are kept. */
export const PAGE = 500;
const KEPT = 10;
const MOST_AT_ONCE = 1000;
/** Matches that are compared with the rows that are here. */
const COMPARED = 20;

export interface Row {
  n: number;
  text: string;
  /** Its line goes on in the next row. */
  wrapped?: boolean;
}

/** Characters `start` to `end` of the rows `n` to `n + rows - 1`, whose text as one is `text`. */
export interface Match {
  n: number;
  text: string;
  start: number;
  end: number;
  rows: number;
}

export interface Matches {
  total: number;
  /** The newest first. */
  matches: Match[];
  /** Rows before this one were not searched. */
  searchedFrom: number;
  next: string | null;
}

interface Answer {
  total: number;
  from: number;
  lines: Row[];
}

export class Past {
  /** Rows that there are, as of the last answer. */
  total = 0;
  private readonly pages = new Map<number, Row[]>();
  private readonly wanted = new Set<number>();

  constructor(
    private readonly mount: string,
    private readonly session: string,
    private readonly pane: string,
  ) {}

  row(n: number): Row | undefined {
    return this.pages.get(Math.floor(n / PAGE))?.[n % PAGE];
  }

  /**
   * Fetch the newest rows, and forget what was fetched before. Returns the number of rows down to the last one that
   * shows anything.
   *
   * Once a pane has all the rows that tmux keeps, each new one moves all the others up by one. So as much as tmux keeps
   * by default is fetched at once, before much can have moved.
   */
  async newest(): Promise<number> {
    const answer = await this.ask(`limit=${MOST_AT_ONCE}`);
    const starts = [2, 1].map((block) => answer.from - block * MOST_AT_ONCE).filter((from) => from > -MOST_AT_ONCE);
    const older = await Promise.all(
      starts.map((from) => this.ask(`from=${Math.max(0, from)}&limit=${MOST_AT_ONCE + Math.min(0, from)}`)),
    );
    this.pages.clear();
    for (const part of [...older, answer]) this.keep(part);
    let end = answer.total;
    while (end > answer.from && this.row(end - 1)?.text === "") end -= 1;
    return end;
  }

  /** Fetch what is missing of the rows from `first` to `last`; true when something came. */
  async fetch(first: number, last: number): Promise<boolean> {
    const missing: number[] = [];
    for (let page = Math.floor(first / PAGE); page <= Math.floor(last / PAGE); page += 1) {
      const known = this.pages.get(page);
      if (known) {
        // Looked at last, so that it is kept longest.
        this.pages.delete(page);
        this.pages.set(page, known);
      }
      const whole = Math.min(PAGE, this.total - page * PAGE);
      if ((known?.length ?? 0) < whole && !this.wanted.has(page)) missing.push(page);
    }
    const fetched = await Promise.all(missing.map((page) => this.page(page)));
    return fetched.length > 0;
  }

  /** All rows as one text, the newest `most` of them; rows of one line are joined. */
  async text(most: number): Promise<string> {
    let out = "";
    let from = Math.max(0, this.total - most);
    for (;;) {
      const { lines, total } = await this.ask(`from=${from}&limit=${MOST_AT_ONCE}`);
      for (const line of lines) out += line.wrapped ? line.text : `${line.text}\n`;
      from += lines.length;
      if (lines.length === 0 || from >= total) return `${out.trimEnd()}\n`;
    }
  }

  /** The newest matches of a plain text; `next` of an answer asks for those before it. */
  async search(text: string, matchCase: boolean, next: string | null): Promise<Matches> {
    const query = new URLSearchParams({ q: text, order: "newest", limit: "200", case: String(matchCase), ...(next === null ? {} : { from: next }) });
    const answer = await api.get<Matches>(`${this.path}/search?${query}`);
    const moved = this.moved(answer.matches.slice(0, COMPARED));
    const matches = answer.matches.map((match) => ({ ...match, n: match.n + moved })).filter((match) => match.n < this.total);
    return { ...answer, matches, total: answer.total - (answer.matches.length - matches.length) };
  }

  /** By how many rows what is here stands lower than in an answer of now: the least with which their texts agree. */
  private moved(matches: Match[]): number {
    for (let by = 0; by < this.total; by += 1) {
      const agrees = (match: Match): boolean => {
        // What came since is not here.
        if (match.n + by >= this.total) return true;
        const row = this.row(match.n + by);
        return row === undefined ? by === 0 : match.text.startsWith(row.text) && (match.rows > 1 || match.text === row.text);
      };
      if (matches.every(agrees)) return by;
    }
    return 0;
  }

  private async page(page: number): Promise<void> {
    this.wanted.add(page);
    try {
      this.keep(await this.ask(`from=${page * PAGE}&limit=${PAGE}`));
    } finally {
      this.wanted.delete(page);
    }
  }

  private keep({ total, lines }: Answer): void {
    this.total = total;
    for (const line of lines) {
      const number = Math.floor(line.n / PAGE);
      let page = this.pages.get(number);
      if (!page) {
        page = [];
        this.pages.set(number, page);
      }
      // A page whose beginning was not among the rows is fetched whole later.
      if (line.n % PAGE <= page.length) page[line.n % PAGE] = line;
    }
    for (const [number, page] of this.pages) {
      if (page.length === 0 || this.pages.size > KEPT) this.pages.delete(number);
    }
  }

  private ask(query: string): Promise<Answer> {
    return api.get<Answer>(`${this.path}?${query}`);
  }

  private get path(): string {
    return `${sessionPath(this.mount, this.session)}/panes/${encodeURIComponent(this.pane)}/history`;
  }
}

/** `text` cut where matches begin and end; `on` names the match of a piece, null for none. Counts characters as the server does. */
export function pieces(text: string, marks: { start: number; end: number; match: Match }[]): { text: string; on: Match | null }[] {
  if (marks.length === 0) return [{ text, on: null }];
  const letters = Array.from(text);
  const found: { text: string; on: Match | null }[] = [];
  let at = 0;
  for (const { start, end, match } of [...marks].sort((a, b) => a.start - b.start)) {
    if (start > at) found.push({ text: letters.slice(at, start).join(""), on: null });
    if (end > Math.max(start, at)) found.push({ text: letters.slice(Math.max(start, at), end).join(""), on: match });
    at = Math.max(at, end);
  }
  if (at < letters.length) found.push({ text: letters.slice(at).join(""), on: null });
  return found;
}

/** Which characters of row `n` the matches cover. `length` tells how many characters a row has. */
export function marksOf(n: number, matches: Match[], length: (n: number) => number): { start: number; end: number; match: Match }[] {
  return matches.map((match) => {
    let before = 0;
    for (let row = match.n; row < n; row += 1) before += length(row);
    return { start: Math.max(0, match.start - before), end: Math.min(match.end - before, length(n)), match };
  });
}
