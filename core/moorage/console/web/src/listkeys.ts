// Going through the list by keyboard: arrows as it is laid out, and keys that do something.
import { type RefObject } from "preact";
import { useEffect } from "preact/hooks";

const DIRECTIONS = new Set(["ArrowLeft", "ArrowRight", "ArrowUp", "ArrowDown", "Home", "End"]);

/** `keys`: what single keys do while nothing is typed into. Arrows move the focus through `list`'s links. */
export function useListKeys(list: RefObject<HTMLElement | null>, keys: Record<string, () => void>): void {
  useEffect(() => {
    const pressed = (event: KeyboardEvent) => {
      if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
      if (document.querySelector("dialog[open]") !== null) return;
      if (event.target instanceof HTMLTextAreaElement || event.target instanceof HTMLSelectElement) return;
      const typing = event.target instanceof HTMLInputElement;
      if (DIRECTIONS.has(event.key) && (!typing || event.key === "ArrowDown")) {
        const next = neighbour(event.key, list.current);
        if (next === null) return;
        next.focus();
      } else if (!typing && Object.hasOwn(keys, event.key)) {
        keys[event.key]?.();
      } else {
        return;
      }
      event.preventDefault();
    };
    window.addEventListener("keydown", pressed);
    return () => window.removeEventListener("keydown", pressed);
  });
}

function neighbour(key: string, list: HTMLElement | null): HTMLElement | null {
  const all = [...(list?.querySelectorAll<HTMLElement>("a.card") ?? [])];
  const at = all.findIndex((link) => link.parentElement?.contains(document.activeElement));
  if (key === "Home" || at < 0) return all[0] ?? null;
  if (key === "End") return all.at(-1) ?? null;
  if (key === "ArrowLeft") return all[at - 1] ?? null;
  if (key === "ArrowRight") return all[at + 1] ?? null;
  // The nearest of the next row, and in it the one that is nearest sideways.
  const from = (all[at] as HTMLElement).getBoundingClientRect();
  const down = key === "ArrowDown";
  const places = all
    .map((link) => ({ link, box: link.getBoundingClientRect() }))
    .filter(({ box }) => (down ? box.top > from.top + 1 : box.top < from.top - 1));
  const row = places.map(({ box }) => box.top).reduce((best, top) => (down === top < best ? top : best), down ? Infinity : -Infinity);
  const across = places.filter(({ box }) => Math.abs(box.top - row) <= 1);
  across.sort((a, b) => Math.abs(a.box.left - from.left) - Math.abs(b.box.left - from.left));
  return across[0]?.link ?? null;
}
