// How large a cell is in letters of a size, and which size fits a box. Measured the way the emulator does it.

export const FONT = "ui-monospace, 'DejaVu Sans Mono', Menlo, Consolas, monospace";
/** Letters that are comfortable to read, in CSS pixels, and the bounds of what one may choose. */
export const LETTERS = 15;
export const LARGEST = 32;
export const SMALLEST = 8;
/** The smallest that letters shrink to by themselves, for those who want to see all of a screen. */
const TINY = 6;
const STEP = 0.5;

export interface Cell {
  width: number;
  height: number;
}

const cells = new Map<string, Cell>();

/** One cell in letters of `size`, in CSS pixels. */
export function cellOf(size: number): Cell {
  const key = `${size}@${devicePixelRatio}`;
  let cell = cells.get(key);
  if (!cell) {
    const context = document.createElement("canvas").getContext("2d");
    if (!context) return { width: size * 0.6, height: Math.ceil(size * 1.2) };
    context.font = `${size}px ${FONT}`;
    const { width, fontBoundingBoxAscent, fontBoundingBoxDescent } = context.measureText("W");
    const height = Math.ceil((fontBoundingBoxAscent + fontBoundingBoxDescent) * devicePixelRatio) / devicePixelRatio;
    cell = { width, height };
    cells.set(key, cell);
  }
  return cell;
}

/** The largest letters, up to `wanted`, in which so many columns and rows fit the box; TINY if none do. */
export function lettersFor(cols: number, rows: number, width: number, height: number, wanted: number): number {
  const fits = (size: number): boolean => {
    const cell = cellOf(size);
    return Math.round(cell.width * cols) <= width && cell.height * rows <= height;
  };
  const least = Math.min(TINY / STEP, wanted / STEP);
  let low = least;
  let high = Math.floor(wanted / STEP);
  while (low < high) {
    const middle = Math.ceil((low + high) / 2);
    if (fits(middle * STEP)) low = middle;
    else high = middle - 1;
  }
  return low * STEP;
}
