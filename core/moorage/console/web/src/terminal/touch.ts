// One finger scrolls the terminal, which by itself knows wheels only.

/** Tell `turn` how far a finger on `box` went, in CSS pixels and where. Returns what stops it. */
export function followFinger(box: HTMLElement, turn: (distance: number, at: Touch) => void): () => void {
  let last: number | null = null;
  const start = (event: TouchEvent): void => {
    last = event.touches.length === 1 ? (event.touches[0]?.clientY ?? null) : null;
  };
  const move = (event: TouchEvent): void => {
    const finger = event.touches.length === 1 ? event.touches[0] : undefined;
    // Where the box itself scrolls, the browser does that.
    if (!finger || last === null || !box.closest(".screen")?.classList.contains("fits")) return;
    turn(last - finger.clientY, finger);
    last = finger.clientY;
  };
  box.addEventListener("touchstart", start, { passive: true });
  box.addEventListener("touchmove", move, { passive: true });
  return () => {
    box.removeEventListener("touchstart", start);
    box.removeEventListener("touchmove", move);
  };
}
