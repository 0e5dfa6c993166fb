// How this browser's reader wants the pages to look: light or dark, and the side bar folded or not.

export const THEMES = ["system", "light", "dark"] as const;
export type Theme = (typeof THEMES)[number];

const KEY = "moorage.look";
const CHANGED = "moorage:look";
const system = matchMedia("(prefers-color-scheme: dark)");

interface Look {
  theme: Theme;
  folded: boolean;
}

function load(): Look {
  try {
    const stored = JSON.parse(localStorage.getItem(KEY) ?? "{}") as Partial<Look>;
    const theme = THEMES.find((one) => one === stored.theme) ?? "system";
    return { theme, folded: stored.folded === true };
  } catch {
    // Not allowed to store, or something else wrote there.
    return { theme: "system", folded: false };
  }
}

/** Kept for this page where nothing can be stored. */
let look = load();

export const theme = (): Theme => look.theme;
export const folded = (): boolean => look.folded;
export const dark = (): boolean => document.documentElement.dataset["theme"] === "dark";

/** Tell the style sheets, which know only what stands at the root. */
export function applyLook(): void {
  const { dataset } = document.documentElement;
  dataset["theme"] = look.theme === "system" ? (system.matches ? "dark" : "light") : look.theme;
  dataset["side"] = look.folded ? "folded" : "open";
  window.dispatchEvent(new Event(CHANGED));
}

export function setLook(change: Partial<Look>): void {
  look = { ...look, ...change };
  try {
    localStorage.setItem(KEY, JSON.stringify(look));
  } catch {
    // As above.
  }
  applyLook();
}

/** `changed` is called after each change, until what this returns is called. */
export function onLook(changed: () => void): () => void {
  window.addEventListener(CHANGED, changed);
  return () => window.removeEventListener(CHANGED, changed);
}

/** Follow the system, and what is chosen in another tab. */
export function followLook(): void {
  applyLook();
  system.addEventListener("change", applyLook);
  window.addEventListener("storage", ({ key }) => {
    if (key !== KEY && key !== null) return;
    look = load();
    applyLook();
  });
}
