// Where keys go: to the terminal, unless something else has them; and keys that are the page's wherever they are pressed.
import type { RefObject } from "preact";
import { useCallback, useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";
import { type Actions, type Offers, plainShortcut, shortcut } from "./commands";
import type { Screen } from "./screen";

type Screens = Map<string, Screen>;

/** A function that gives the focus back to the pane that is typed into. */
export function useFocus(screens: Screens, seat: RefObject<string | undefined>): () => void {
  const [times, count] = useState(0);
  const focus = () => screens.get(seat.current ?? "")?.focus();
  // What closes gives the focus back to where it was: behind that, and before the next key. By a timer it could come
  // later than what has the focus by then.
  useLayoutEffect(() => {
    if (times > 0 && !document.activeElement?.closest("dialog, .list, .find")) focus();
  }, [times]);
  return useCallback(() => {
    focus();
    count((before) => before + 1);
  }, [screens, seat]);
}

/** A key that is pressed on seeing that one may type must not be lost; neither when the session moves on. */
export function useSeat(screens: Screens, seat: string | undefined, typing: boolean, onTyping: () => void): void {
  const before = useRef<string | undefined>(undefined);
  useLayoutEffect(() => {
    if (seat === undefined) return;
    const moved = before.current !== seat;
    before.current = seat;
    const idle = document.activeElement === document.body || isTerminal(document.activeElement);
    if (typing ? !moved || idle : moved && idle) screens.get(seat)?.focus();
    if (typing) onTyping();
  }, [typing, seat, screens]);
}

export interface Listening {
  actions: Actions;
  may: Offers;
  mine: boolean;
  /** Whether the menu is open, which has the keys then. */
  menu: boolean;
}

export function useShortcuts(now: RefObject<Listening>, onMenu: (open: boolean) => void): void {
  useEffect(() => {
    const press = (event: KeyboardEvent) => {
      if (now.current === null || document.querySelector("dialog[open]")) return;
      const { actions, menu, mine, may } = now.current;
      // Who has control means the program, also while the connection is lost.
      const wanted = shortcut(event) ?? (mine || menu || isField(event.target) ? null : plainShortcut(event));
      if (wanted === null || (menu && wanted !== "menu")) return;
      event.preventDefault();
      event.stopImmediatePropagation();
      if (wanted === "menu") onMenu(!menu);
      else if (wanted === "find") actions.find();
      else if (wanted === "help") actions.help();
      else if (mine) actions.release();
      else if (may.take || may.override) actions.take();
      else if (may.request) actions.request();
    };
    window.addEventListener("keydown", press, true);
    return () => window.removeEventListener("keydown", press, true);
  }, []);
}

const isTerminal = (target: EventTarget | null): boolean => target instanceof Element && target.closest(".screen") !== null;

/** Whether keys are text where they go. */
const isField = (target: EventTarget | null): boolean =>
  target instanceof Element && target.matches("input, select, textarea") && !isTerminal(target);
