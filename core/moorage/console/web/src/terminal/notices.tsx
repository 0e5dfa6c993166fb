// What is told above the terminal, without moving it: a lost connection, refusals, requests.
import type { ComponentChildren, JSX } from "preact";
import { useEffect } from "preact/hooks";
import { LIST } from "../tmux";
import type { State } from "./shared";

/** Milliseconds after which a notice that asks for nothing goes away. */
const SHOWN = 12_000;
const OFF = "Whoever runs this server switched terminals off. What runs in them goes on; this page comes back when they are on again.";

interface NoticesProps {
  state: State;
  again: () => void;
  onClose: () => void;
  children: ComponentChildren;
}

export function Notices({ state, again, onClose, children }: NoticesProps): JSX.Element {
  const { notice, phase, pause, ended, off } = state;
  useEffect(() => {
    if (notice === null) return;
    const timer = setTimeout(onClose, SHOWN);
    return () => clearTimeout(timer);
  }, [notice]);
  return (
    <div class="notices">
      {phase !== "open" && ended === null && (
        <p class="notice" aria-live="polite">
          {off ? OFF : phase === "waiting" ? `The connection was lost. Trying again in ${pause} s…` : "Connecting…"}
        </p>
      )}
      {ended !== null && (
        <div class="trouble" role="alert">
          <p>{ended}</p>
          <button type="button" onClick={again}>
            Connect again
          </button>
          <a href={LIST}>All terminals</a>
        </div>
      )}
      {children}
      {notice !== null && (
        <div class={notice.bad ? "notice bad" : "notice"}>
          <p role="alert">{notice.text}</p>
          <button type="button" class="quiet small" aria-label="Close" onClick={onClose}>
            ✕
          </button>
        </div>
      )}
    </div>
  );
}
