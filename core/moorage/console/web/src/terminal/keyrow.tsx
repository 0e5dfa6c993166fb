// The keys that a touch screen lacks. They do not take the focus, so that the on-screen keyboard stays.
import type { JSX } from "preact";
import { useRef } from "preact/hooks";
import type { Held } from "./keys";

const KEYS: [string, string?][] = [
  ["Esc"],
  ["Tab"],
  ["Ctrl"],
  ["Alt"],
  ["Left", "←"],
  ["Down", "↓"],
  ["Up", "↑"],
  ["Right", "→"],
  ["|"],
  ["/"],
  ["-"],
  ["~"],
  ["PgUp"],
  ["PgDn"],
  ["Home"],
  ["End"],
  ["Enter", "⏎"],
];
const REPEATED = new Set(["Left", "Down", "Up", "Right", "PgUp", "PgDn"]);
const FIRST_REPEAT = 400;
const REPEAT = 80;

interface KeyRowProps {
  held: Held;
  onHold: (held: Held) => void;
  onKey: (key: string) => void;
}

export function KeyRow({ held, onHold, onKey }: KeyRowProps): JSX.Element {
  const timer = useRef(0);
  const stop = () => clearTimeout(timer.current);
  const press = (key: string) => {
    if (key === "Ctrl") onHold({ ...held, ctrl: !held.ctrl });
    else if (key === "Alt") onHold({ ...held, alt: !held.alt });
    else onKey(key);
  };
  const repeat = (key: string, pause: number) => {
    timer.current = setTimeout(() => {
      onKey(key);
      repeat(key, REPEAT);
    }, pause);
  };
  return (
    <div class="keyrow" role="toolbar" aria-label="Keys">
      {KEYS.map(([key, sign]) => {
        const down = key === "Ctrl" ? held.ctrl : key === "Alt" ? held.alt : undefined;
        return (
          <button
            key={key}
            type="button"
            class="quiet"
            aria-label={key}
            {...(down === undefined ? {} : { "aria-pressed": down })}
            onMouseDown={(event) => event.preventDefault()}
            onPointerDown={() => REPEATED.has(key) && repeat(key, FIRST_REPEAT)}
            onPointerUp={stop}
            onPointerCancel={stop}
            onPointerLeave={stop}
            onContextMenu={(event) => event.preventDefault()}
            onClick={() => press(key)}
          >
            {sign ?? key}
          </button>
        );
      })}
    </div>
  );
}
