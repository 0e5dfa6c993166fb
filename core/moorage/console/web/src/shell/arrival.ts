// Where the keyboard and a screen reader go on when another page is shown in place of one.
import { useEffect, useRef } from "preact/hooks";

/** Milliseconds that a page's heading is waited for: it may have to be fetched. */
const PATIENCE = 10_000;

/** When `path` changes and whoever had the focus is gone, or is the navigation, the page has it: its heading, read out. */
export function useArrival(path: string, content: string): void {
  const before = useRef(path);
  useEffect(() => {
    if (before.current === path) return;
    before.current = path;
    const place = document.getElementById(content);
    const active = document.activeElement;
    if (place === null || (active !== null && active !== document.body && active !== place && active.closest("header.top") === null)) return;
    // A dialog that closes gives the focus back to where it was, in the navigation perhaps.
    place.focus({ preventScroll: true });
    const look = () => {
      if (document.activeElement !== place) return stop();
      const heading = place.querySelector<HTMLElement>("main h1");
      if (heading === null || !heading.checkVisibility()) return;
      stop();
      if (!heading.hasAttribute("tabindex")) heading.tabIndex = -1;
      heading.focus({ preventScroll: true });
    };
    const watch = new MutationObserver(look);
    const timer = window.setTimeout(() => stop(), PATIENCE);
    const stop = () => {
      watch.disconnect();
      clearTimeout(timer);
    };
    watch.observe(place, { childList: true, subtree: true });
    look();
    return stop;
  }, [path]);
}
