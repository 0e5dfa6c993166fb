// The terminal emulator in its box: as many columns and rows as the session has, in letters that fit the width.
import { type ITheme, Terminal } from "@xterm/xterm";
import "@xterm/xterm/css/xterm.css";
import { adoptStyles } from "./csp";

const SMALLEST = 8;
const LARGEST = 15;

adoptStyles();

export class Screen {
  private readonly terminal: Terminal;
  private readonly watch: ResizeObserver;
  private readonly dark = matchMedia("(prefers-color-scheme: dark)");

  constructor(
    private readonly box: HTMLElement,
    onInput: (text: string) => void,
    /** Called for each key while it may not type; true = the key was used. */
    onKeyWhileReading: (event: KeyboardEvent) => boolean,
  ) {
    this.terminal = new Terminal({
      cursorBlink: true,
      disableStdin: true,
      fontFamily: "ui-monospace, 'DejaVu Sans Mono', Menlo, Consolas, monospace",
      fontSize: LARGEST,
      minimumContrastRatio: 4.5,
      scrollback: 5_000,
      theme: this.theme(),
    });
    this.terminal.open(box);
    this.terminal.onData(onInput);
    // Mouse reports of old protocols are bytes, one per character.
    this.terminal.onBinary(onInput);
    this.terminal.attachCustomKeyEventHandler((event) => {
      if (!this.terminal.options.disableStdin) return !isToggle(event);
      if (event.type === "keydown" && onKeyWhileReading(event)) event.preventDefault();
      // While reading, Tab and the browser's own keys must go on working.
      return false;
    });
    this.dark.addEventListener("change", this.recolour);
    this.watch = new ResizeObserver(() => this.fit());
    this.watch.observe(box);
  }

  write(text: string): void {
    this.terminal.write(text);
  }

  resize(cols: number, rows: number): void {
    if (cols < 1 || rows < 1 || (cols === this.terminal.cols && rows === this.terminal.rows)) return;
    this.terminal.resize(cols, rows);
    this.fit();
  }

  set typing(on: boolean) {
    this.terminal.options.disableStdin = !on;
    this.terminal.options.cursorStyle = on ? "block" : "underline";
  }

  focus(): void {
    this.terminal.focus();
  }

  dispose(): void {
    this.watch.disconnect();
    this.dark.removeEventListener("change", this.recolour);
    this.terminal.dispose();
  }

  /** The largest letters in which every column is seen; below the smallest the box scrolls sideways. */
  private fit(): void {
    const screen = this.box.querySelector<HTMLElement>(".xterm-screen");
    const width = this.box.clientWidth;
    const size = this.terminal.options.fontSize ?? LARGEST;
    if (!screen || screen.offsetWidth === 0 || width === 0) return;
    const wanted = Math.floor(((size * (width - 4)) / screen.offsetWidth) * 2) / 2;
    this.terminal.options.fontSize = Math.max(SMALLEST, Math.min(LARGEST, wanted));
  }

  private readonly recolour = (): void => {
    this.terminal.options.theme = this.theme();
  };

  private theme(): ITheme {
    const style = getComputedStyle(document.documentElement);
    const colour = (name: string): string => style.getPropertyValue(name).trim();
    return this.dark.matches
      ? { background: colour("--screen"), foreground: colour("--screen-text"), cursor: colour("--accent") }
      : { ...LIGHT, background: colour("--screen"), foreground: colour("--screen-text"), cursor: colour("--accent") };
  }
}

/** The key that takes and gives back control. */
export const isToggle = (event: KeyboardEvent): boolean => event.key === "Enter" && event.ctrlKey && event.shiftKey;

/** Sixteen colours that can be read on white. */
const LIGHT: ITheme = {
  selectionBackground: "#b5d5ff",
  black: "#24292f",
  red: "#b3261e",
  green: "#116329",
  yellow: "#7a4b00",
  blue: "#0550ae",
  magenta: "#7a2fb5",
  cyan: "#0b6370",
  white: "#57606a",
  brightBlack: "#57606a",
  brightRed: "#a40e26",
  brightGreen: "#1a7f37",
  brightYellow: "#633c01",
  brightBlue: "#0969da",
  brightMagenta: "#8250df",
  brightCyan: "#1b7c83",
  brightWhite: "#24292f",
};
