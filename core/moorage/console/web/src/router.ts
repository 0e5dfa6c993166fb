// Which page the address bar names, and links that do not load the document anew.
import { useEffect, useState } from "preact/hooks";

/** Show the page at `path`, which may have a query. Another page is seen from its beginning. */
export function go(path: string, replace = false): void {
  const before = location.pathname;
  if (replace) history.replaceState(null, "", path);
  else if (path !== location.pathname + location.search) history.pushState(null, "", path);
  if (location.pathname !== before) window.scrollTo(0, 0);
  window.dispatchEvent(new PopStateEvent("popstate"));
}

export const usePath = (): string => useAddress(() => location.pathname);

/** What the address says behind its question mark. */
export const useQuery = (): URLSearchParams => new URLSearchParams(useAddress(() => location.search));

function useAddress(part: () => string): string {
  const [value, setValue] = useState(part);
  useEffect(() => {
    const changed = () => setValue(part);
    window.addEventListener("popstate", changed);
    return () => window.removeEventListener("popstate", changed);
  }, []);
  return value;
}

/** The rest of `path` after `prefix`, decoded; null when it does not match. */
export function after(prefix: string, path: string): string | null {
  if (!path.startsWith(prefix) || path.length === prefix.length) return null;
  try {
    return decodeURIComponent(path.slice(prefix.length));
  } catch {
    return null;
  }
}

/** A click on a link of ours, without modifier keys, changes the page in place. */
export function followLinks(event: MouseEvent): void {
  const link = event.target instanceof Element ? event.target.closest("a") : null;
  if (!link || event.defaultPrevented || event.button !== 0) return;
  if (event.metaKey || event.ctrlKey || event.shiftKey || event.altKey || link.target) return;
  if (link.origin !== location.origin || !(link.pathname === "/" || link.pathname.startsWith("/console/"))) return;
  event.preventDefault();
  go(link.pathname + link.search);
}
