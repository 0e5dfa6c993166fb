// What the search can do besides finding: begin something, sign out, change the look.
import { folded, setLook, THEMES, theme } from "../look";
import { ACCOUNT, DEVICE, type Place } from "../places";
import { go } from "../router";

export interface Action {
  title: string;
  /** Other words by which it is found. */
  also?: string;
  run: () => void;
}

const NAMES = { system: "as the system", light: "light", dark: "dark" } as const;

/** Where there is room for a bar beside the page. */
const WIDE = "(min-width: 60rem) and (min-height: 30.05rem)";

/** As things are now. */
export function actions(places: Place[], signOut: () => void): Action[] {
  const begun = places.flatMap(({ begin }) => (begin === undefined ? [] : [begin]));
  const found: Action[] = begun.map(({ title, address }) => ({ title, also: "create begin", run: () => go(address) }));
  for (const one of THEMES) {
    if (one !== theme()) found.push({ title: `Colours: ${NAMES[one]}`, also: `theme ${one} mode`, run: () => setLook({ theme: one }) });
  }
  if (matchMedia(WIDE).matches) {
    const title = folded() ? "Unfold the side bar" : "Fold the side bar";
    found.push({ title, also: "sidebar navigation", run: () => setLook({ folded: !folded() }) });
  }
  found.push({ title: "Make a key for a program", also: "api token", run: () => go(ACCOUNT) });
  found.push({ title: "Let a device in by its code", also: "approve login", run: () => go(DEVICE) });
  found.push({ title: "Sign out", also: "log out leave", run: signOut });
  return found;
}
