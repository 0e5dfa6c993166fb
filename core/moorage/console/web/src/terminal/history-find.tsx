// The search in a pane's history: what is typed, its matches from the newest on, and going through them.
import type { ComponentChildren, JSX, RefObject } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import type { Match, Matches, Past } from "./past";

/** Milliseconds without another letter before the server is asked. */
const TYPED = 250;

export interface Find {
  found: Matches | null;
  /** The match that is shown. */
  chosen: Match | undefined;
  /** Its place among those that came, the newest first. */
  at: number;
  matchCase: boolean;
  setMatchCase: (on: boolean) => void;
  /** The text was changed. */
  typed: () => void;
  /** To the next older match (1) or the next newer one (-1). */
  move: (by: 1 | -1) => void;
}

type Attempt = (work: () => Promise<void>) => Promise<void>;

export function useFind(past: Past, input: RefObject<HTMLInputElement | null>, attempt: Attempt): Find {
  const [found, setFound] = useState<Matches | null>(null);
  const [at, setAt] = useState(0);
  const [matchCase, setCase] = useState(false);
  const asked = useRef(0);
  const timer = useRef(0);
  useEffect(() => () => clearTimeout(timer.current), []);

  const text = (): string => input.current?.value ?? "";
  const ask = (wait: number, exactly: boolean) => {
    clearTimeout(timer.current);
    asked.current += 1;
    const mine = asked.current;
    if (text() === "") {
      setFound(null);
      return;
    }
    const work = async () => {
      const answer = await past.search(text(), exactly, null);
      if (mine !== asked.current) return;
      setFound(answer);
      setAt(0);
    };
    timer.current = window.setTimeout(() => void attempt(work), wait);
  };
  const move = (by: 1 | -1) => {
    if (found === null) {
      ask(0, matchCase);
      return;
    }
    const to = at + by;
    if (to >= 0 && to < found.matches.length) setAt(to);
    else if (to >= found.matches.length && found.next !== null) {
      const mine = asked.current;
      void attempt(async () => {
        const more = await past.search(text(), matchCase, found.next);
        if (mine !== asked.current) return;
        setFound({ ...found, matches: [...found.matches, ...more.matches], next: more.next });
        if (more.matches.length > 0) setAt(to);
      });
    }
  };
  return {
    found,
    chosen: found?.matches[at],
    at,
    matchCase,
    setMatchCase: (on) => {
      setCase(on);
      ask(0, on);
    },
    typed: () => ask(TYPED, matchCase),
    move,
  };
}

interface BarProps {
  find: Find;
  input: RefObject<HTMLInputElement | null>;
  children: ComponentChildren;
}

export function FindBar({ find, input, children }: BarProps): JSX.Element {
  const { found, at } = find;
  const older = found !== null && (at + 1 < found.matches.length || found.next !== null);
  return (
    <form
      class="searching"
      role="search"
      onSubmit={(event) => {
        event.preventDefault();
        find.move(1);
      }}
    >
      <input
        ref={input}
        type="search"
        aria-label="Search the history"
        placeholder="Search"
        maxLength={200}
        autocomplete="off"
        autocapitalize="none"
        spellcheck={false}
        enterkeyhint="search"
        onInput={find.typed}
        onKeyDown={(event) => {
          if (event.key !== "Enter" || !event.shiftKey) return;
          event.preventDefault();
          find.move(-1);
        }}
      />
      <button type="submit" class="quiet" aria-label="Older match" title="Older match (Enter, n)" disabled={!older}>
        ↑
      </button>
      <button
        type="button"
        class="quiet"
        aria-label="Newer match"
        title="Newer match (Shift+Enter, N)"
        disabled={found === null || at === 0}
        onClick={() => find.move(-1)}
      >
        ↓
      </button>
      <label class="tick">
        <input type="checkbox" checked={find.matchCase} onChange={(event) => find.setMatchCase(event.currentTarget.checked)} />
        Match case
      </label>
      <span class="count" role="status">
        {found !== null && countText(found, at)}
      </span>
      <span class="choice">{children}</span>
    </form>
  );
}

function countText({ total, matches, searchedFrom }: Matches, at: number): string {
  const where = searchedFrom > 0 ? " in the newest rows" : "";
  return matches.length === 0 ? `No match${where}` : `${total - at} of ${total}${where}`;
}
