// Keeps the page above an on-screen keyboard in browsers that lay the keyboard over the page.
import { useEffect } from "preact/hooks";

export function useViewport(): void {
  useEffect(() => {
    const viewport = window.visualViewport;
    if (!viewport) return;
    const root = document.documentElement;
    const fit = () => {
      // Zoomed in by two fingers: then the page stays as it is.
      const covered = viewport.scale < 1.05 && innerHeight - viewport.height > 1;
      if (covered) root.style.setProperty("--visible", `${viewport.height}px`);
      else root.style.removeProperty("--visible");
      if (covered) scrollTo(0, 0);
    };
    viewport.addEventListener("resize", fit);
    fit();
    return () => {
      viewport.removeEventListener("resize", fit);
      root.style.removeProperty("--visible");
    };
  }, []);
}
