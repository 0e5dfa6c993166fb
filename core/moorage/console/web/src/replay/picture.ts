// Where a recording is drawn: a terminal of exactly its size, in the largest letters with which all of it is seen.
import { cellOf, lettersFor } from "../terminal/letters";
import { Screen } from "../terminal/screen";
import type { Sink } from "./player";

const LARGEST = 20;
/** Pages so narrow are scrolled, rather than that a whole screen is squeezed between the buttons. */
const NARROW = matchMedia("(max-width: 40rem)");

export class Picture implements Sink {
  private readonly frame = document.createElement("div");
  private readonly screen: Screen;
  private readonly watch = new ResizeObserver(() => this.fit());

  constructor(
    private readonly box: HTMLElement,
    label: string,
  ) {
    this.frame.className = "picture";
    box.append(this.frame);
    this.screen = new Screen(this.frame, () => undefined, () => false, { fits: false });
    this.screen.label = label;
    this.watch.observe(box);
    this.fit();
  }

  write(text: string, done?: () => void): void {
    this.screen.write(text, done);
  }

  resize(cols: number, rows: number): void {
    this.screen.resize(cols, rows);
    this.fit();
  }

  dispose(): void {
    this.watch.disconnect();
    this.screen.dispose();
    this.frame.remove();
  }

  private fit(): void {
    const { cols, rows } = this.screen;
    const height = NARROW.matches ? Infinity : this.box.clientHeight;
    const letters = lettersFor(cols, rows, this.box.clientWidth, height, LARGEST);
    const cell = cellOf(letters);
    this.screen.letters = letters;
    this.frame.style.width = `${Math.round(cell.width * cols)}px`;
    this.frame.style.height = `${Math.round(cell.height * rows)}px`;
  }
}
