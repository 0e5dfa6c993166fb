// The panes of one window, laid out as tmux has them, in letters that fit; around them what the box has to spare.
import type { JSX, RefObject } from "preact";
import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";
import { cellOf, lettersFor, type Cell } from "./letters";
import { Screen, type ScreenOptions } from "./screen";
import type { Settings } from "./settings";
import type { Shared } from "./shared";
import { type Pane, visible, type Window } from "./types";

/** Room that the window's own frame takes in the box. */
const FRAME = 12;
const SETTLE = 150;
const SMALLEST_SIZE = { cols: 20, rows: 5 };
const LARGEST_SIZE = { cols: 500, rows: 300 };

interface StageProps {
  shared: Shared;
  /** What is shown: the session's window, or a part of it. */
  window: Window;
  /** The size of the session's window. */
  size: { cols: number; rows: number };
  typing: boolean;
  settings: Settings;
  label: string;
  screens: Map<string, Screen>;
  onInput: (pane: string, text: string) => void;
  onKeyWhileReading: (event: KeyboardEvent) => boolean;
  onFocus: (pane: string) => void;
  options: ScreenOptions;
}

export function Stage(props: StageProps): JSX.Element {
  const { window, typing, settings, label } = props;
  const box = useRef<HTMLDivElement>(null);
  const room = useRoom(box);
  const letters = settings.whole
    ? lettersFor(window.cols, window.rows, room.width, room.height, settings.letters)
    : settings.letters;
  const cell = cellOf(letters);
  useDriving(props, room);

  const panes = visible(window);
  const width = Math.round(cell.width * window.cols);
  const height = Math.round(cell.height * window.rows);
  const kinds = ["screen", typing ? "typing" : "", height <= room.height ? "fits" : ""].filter(Boolean).join(" ");
  return (
    <div class={kinds} ref={box} role="group" aria-label={label}>
      <div class="window" style={{ width: `${width}px`, height: `${height}px` }}>
        {panes.map((pane) => (
          <PaneView key={`${window.id}${pane.id}`} {...props} box={box} pane={pane} cell={cell} letters={letters} alone={panes.length === 1} />
        ))}
      </div>
    </div>
  );
}

interface Room {
  width: number;
  height: number;
}

/** What the box offers, as its size changes. */
function useRoom(box: RefObject<HTMLDivElement | null>): Room {
  const [room, setRoom] = useState<Room>({ width: 0, height: 0 });
  useLayoutEffect(() => {
    const element = box.current;
    if (!element) return;
    const measure = () => setRoom({ width: element.offsetWidth - FRAME, height: element.offsetHeight - FRAME });
    const watch = new ResizeObserver(measure);
    watch.observe(element);
    measure();
    return () => watch.disconnect();
  }, [box]);
  return room;
}

const within = (value: number, least: number, most: number): number => Math.max(least, Math.min(most, Math.floor(value)));

/** While one has control, and wants that, the terminal has the size of this page. */
function useDriving({ shared, window, size, typing, settings }: StageProps, room: Room): void {
  const asked = useRef("");
  useEffect(() => {
    if (!typing || !settings.resize) {
      asked.current = "";
      return;
    }
    if (room.width <= 0 || room.height <= 0) return;
    const cell = cellOf(settings.letters);
    const cols = within(room.width / cell.width, SMALLEST_SIZE.cols, LARGEST_SIZE.cols);
    const rows = within(room.height / cell.height, SMALLEST_SIZE.rows, LARGEST_SIZE.rows);
    // Asked once: when tmux keeps another size, because of a terminal elsewhere, that is how it is.
    const question = `${window.id} ${cols} ${rows}`;
    if (question === asked.current) return;
    const timer = setTimeout(() => {
      asked.current = question;
      if (cols !== size.cols || rows !== size.rows) shared.resize(cols, rows);
    }, SETTLE);
    return () => clearTimeout(timer);
  }, [shared, typing, settings.resize, settings.letters, room.width, room.height, window.id, size.cols, size.rows]);
}

interface PaneProps extends StageProps {
  box: RefObject<HTMLDivElement | null>;
  pane: Pane;
  cell: Cell;
  letters: number;
  alone: boolean;
}

function PaneView(props: PaneProps): JSX.Element {
  const { shared, pane, window, cell, letters, alone, typing, settings, screens, box } = props;
  const holder = useRef<HTMLDivElement>(null);
  const [bell, setBell] = useState(false);
  const now = useRef(props);
  now.current = props;

  useLayoutEffect(() => {
    if (!holder.current) return;
    const id = pane.id;
    let silence = 0;
    let frame = 0;
    const made = new Screen(
      holder.current,
      (text) => now.current.onInput(id, text),
      (event) => now.current.onKeyWhileReading(event),
      {
        ...now.current.options,
        fits: false,
        onFocus: () => now.current.onFocus(id),
        onBell: () => {
          setBell(true);
          clearTimeout(silence);
          silence = setTimeout(() => setBell(false), 1_200);
        },
        onCursor: () => {
          if (frame !== 0 || !now.current.typing || !now.current.pane.active) return;
          frame = requestAnimationFrame(() => {
            frame = 0;
            reveal(made, box.current, now.current);
          });
        },
      },
    );
    screens.set(id, made);
    shared.attach(id, { write: (data, done) => made.write(data, done), resize: (cols, rows) => made.resize(cols, rows) });
    return () => {
      clearTimeout(silence);
      cancelAnimationFrame(frame);
      shared.detach(id);
      if (screens.get(id) === made) screens.delete(id);
      made.dispose();
    };
  }, [shared, screens, pane.id, box]);

  // Before the page says so: a key that is pressed on seeing it must not be lost.
  useLayoutEffect(() => {
    const screen = screens.get(pane.id);
    if (!screen) return;
    screen.letters = letters;
    screen.typing = typing;
    screen.forScreenReaders = settings.reader;
    screen.label = `${alone ? "Terminal" : `Pane ${pane.index}`}${pane.title ? `: ${pane.title}` : ""}${typing ? "" : ", read-only"}`;
  }, [screens, pane.id, pane.index, pane.title, alone, letters, typing, settings.reader]);

  const names = ["pane", alone ? "" : "framed", pane.active && !alone ? "active" : "", bell ? "bell" : ""];
  return (
    <div class={names.filter(Boolean).join(" ")} style={alone ? whole(window, cell) : framed(pane, window, cell)}>
      <div class="cells" ref={holder} style={alone ? {} : inner(pane, cell)} />
    </div>
  );
}

const whole = (window: Window, cell: Cell) => ({
  left: "0",
  top: "0",
  width: `${Math.round(cell.width * window.cols)}px`,
  height: `${Math.round(cell.height * window.rows)}px`,
});

/** A pane's frame goes to the middle of the cells that part it from its neighbours. */
function framed(pane: Pane, window: Window, cell: Cell) {
  const left = pane.left > 0 ? pane.left - 0.5 : 0;
  const top = pane.top > 0 ? pane.top - 0.5 : 0;
  const right = pane.left + pane.cols + (pane.left + pane.cols < window.cols ? 0.5 : 0);
  const bottom = pane.top + pane.rows + (pane.top + pane.rows < window.rows ? 0.5 : 0);
  return {
    left: `${left * cell.width}px`,
    top: `${top * cell.height}px`,
    width: `${(right - left) * cell.width}px`,
    height: `${(bottom - top) * cell.height}px`,
  };
}

const inner = (pane: Pane, cell: Cell) => ({
  left: `${pane.left > 0 ? cell.width / 2 : 0}px`,
  top: `${pane.top > 0 ? cell.height / 2 : 0}px`,
});

/** Where the window is larger than the box, keep the cursor of who types in sight. */
function reveal(screen: Screen, box: HTMLElement | null, { pane, cell }: PaneProps): void {
  if (!box || (box.scrollWidth <= box.clientWidth && box.scrollHeight <= box.clientHeight)) return;
  const { x, y } = screen.cursor;
  const left = (pane.left + x) * cell.width;
  const top = (pane.top + y) * cell.height;
  const margin = cell.height * 2;
  if (left < box.scrollLeft + margin || left > box.scrollLeft + box.clientWidth - margin) {
    box.scrollLeft = Math.max(0, left - box.clientWidth / 2);
  }
  if (top < box.scrollTop || top > box.scrollTop + box.clientHeight - margin) {
    box.scrollTop = Math.max(0, top - box.clientHeight + margin);
  }
}
