// The rows of a pane's history in a box as high as all of them: drawn are only those that are seen, and some around.
import type { JSX, RefObject } from "preact";
import { useEffect, useLayoutEffect, useMemo, useRef, useState } from "preact/hooks";
import { type Match, type Matches, marksOf, type Past, pieces } from "./past";

/** Rows that are drawn above and below what is seen, and the steps in which that moves. */
const AROUND = 150;
const STEP = 50;
/** A browser does not make an element higher than some millions of pixels: the newest rows are shown. */
const MOST = 500_000;
/** Milliseconds without another movement before the server is asked. */
const SETTLED = 80;

interface RowsProps {
  past: Past;
  /** How many are shown; another object when the newest were fetched anew. Null before that. */
  rows: { count: number } | null;
  box: RefObject<HTMLDivElement | null>;
  label: string;
  found: Matches | null;
  chosen: Match | undefined;
  attempt: (work: () => Promise<void>) => Promise<void>;
}

export function Rows({ past, rows, box, label, found, chosen, attempt }: RowsProps): JSX.Element {
  const [place, setPlace] = useState({ first: 0, last: 0 });
  const [height, setHeight] = useState(0);
  const [tick, setTick] = useState(0);
  const ruler = useRef<HTMLDivElement>(null);
  const count = rows?.count ?? 0;
  const hidden = Math.max(0, count - MOST);

  const look = () => {
    const element = box.current;
    if (!element || height === 0) return;
    const top = Math.floor(element.scrollTop / height) + hidden;
    const seen = Math.ceil(element.clientHeight / height);
    const first = Math.max(hidden, Math.floor((top - AROUND) / STEP) * STEP);
    const last = Math.min(count, Math.ceil((top + seen + AROUND) / STEP) * STEP);
    if (first !== place.first || last !== place.last) setPlace({ first, last });
  };
  // A browser may round a row's height, or enlarge its letters.
  useLayoutEffect(() => setHeight(ruler.current?.getBoundingClientRect().height || 18), []);
  useLayoutEffect(() => {
    if (!box.current || rows === null) return;
    box.current.scrollTop = box.current.scrollHeight;
    look();
  }, [rows, height]);
  useEffect(() => {
    if (place.last <= place.first) return undefined;
    const fetch = async () => {
      if (await past.fetch(place.first, place.last - 1)) setTick((before) => before + 1);
    };
    const timer = setTimeout(() => void attempt(fetch), SETTLED);
    return () => clearTimeout(timer);
  }, [place, rows]);
  useLayoutEffect(() => {
    const element = box.current;
    if (!element || !chosen) return;
    element.scrollTop = (chosen.n - hidden) * height - element.clientHeight / 2;
    look();
  }, [chosen]);
  // Its row is drawn now; where rows are wider than the box, the match is not yet seen.
  useLayoutEffect(() => {
    box.current?.querySelector(".current")?.scrollIntoView({ block: "nearest", inline: "nearest" });
  }, [chosen, place, tick]);

  const marks = useMemo(() => byRow(found?.matches ?? []), [found]);
  const length = (n: number): number => Array.from(past.row(n)?.text ?? "").length;
  const lines: JSX.Element[] = [];
  for (let n = place.first; n < Math.min(place.last, count); n += 1) {
    const parts = pieces(past.row(n)?.text ?? "", marksOf(n, marks.get(n) ?? [], length));
    lines.push(
      <div class="line" key={n}>
        {parts.map(({ text, on }, index) =>
          on === null ? (
            text
          ) : (
            <mark key={index} class={on === chosen ? "current" : undefined}>
              {text}
            </mark>
          ),
        )}
      </div>,
    );
  }
  return (
    <div class="rows-box" ref={box} tabIndex={0} role="region" aria-label={label} aria-busy={rows === null} onScroll={look}>
      <div class="canvas" style={{ height: `${(count - hidden) * height}px` }}>
        <div class="drawn" style={{ top: `${Math.max(0, place.first - hidden) * height}px` }}>
          {lines}
        </div>
      </div>
      <div class="line ruler" ref={ruler} aria-hidden="true">
        &nbsp;
      </div>
    </div>
  );
}

function byRow(matches: Match[]): Map<number, Match[]> {
  const rows = new Map<number, Match[]>();
  for (const match of matches) {
    for (let n = match.n; n < match.n + match.rows; n += 1) {
      const known = rows.get(n);
      if (known) known.push(match);
      else rows.set(n, [match]);
    }
  }
  return rows;
}
