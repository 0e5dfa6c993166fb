// The keys that open the search.
import { useEffect } from "preact/hooks";

/** Ctrl+K anywhere but in a terminal, which has a use for it; "/" where nothing is typed and the page has no own use. */
export function useSearchKeys(open: () => void): void {
  useEffect(() => {
    const pressed = (event: KeyboardEvent) => {
      if (event.defaultPrevented || event.altKey || document.querySelector("dialog[open]") !== null) return;
      const on = event.target instanceof Element ? event.target : null;
      if (on?.closest(".xterm") != null) return;
      const command = (event.ctrlKey || event.metaKey) && !event.shiftKey && event.key.toLowerCase() === "k";
      const slash = event.key === "/" && !event.ctrlKey && !event.metaKey && on?.closest("input, textarea, select, [contenteditable]") == null;
      if (!command && !(slash && document.querySelector('[aria-keyshortcuts="/"], main.terminal, main.replay') === null)) return;
      event.preventDefault();
      open();
    };
    window.addEventListener("keydown", pressed);
    return () => window.removeEventListener("keydown", pressed);
  });
}
