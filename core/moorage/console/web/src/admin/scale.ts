// Where a value is on a plot: scales from zero to a round number, and lines with holes where nothing is known.

/** A moment's value; null where there is none. */
export interface Point {
  /** Milliseconds since 1970. */
  at: number;
  value: number | null;
}

/** The first round number that is not below `value`: 1, 2 or 5 times a power of ten, or a power of two for bytes. */
export function ceiling(value: number, binary = false): number {
  if (!(value > 0)) return 1;
  if (binary) return 2 ** Math.ceil(Math.log2(value));
  const power = 10 ** Math.floor(Math.log10(value));
  for (const step of [1, 2, 5]) {
    // A hair more: 0.3 / 0.1 is not quite 3.
    if (value <= step * power * (1 + 1e-9)) return step * power;
  }
  return 10 * power;
}

/** The data of an SVG path through the points. gap: milliseconds between two after which the line begins anew. */
export function line(points: Point[], x: (at: number) => number, y: (value: number) => number, gap: number): string {
  const parts: string[] = [];
  let last: number | null = null;
  for (const { at, value } of points) {
    if (value === null) {
      last = null;
      continue;
    }
    const place = `${x(at).toFixed(1)} ${y(value).toFixed(1)}`;
    const joined = last !== null && at - last <= gap;
    // A point that stands alone is drawn as one: the line's ends are round.
    parts.push(joined ? `L${place}` : `M${place}h0`);
    last = at;
  }
  return parts.join("");
}
