// One terminal emulator in its box: what is written to it, what is typed, pasted and copied in it.
import { type ITheme, Terminal } from "@xterm/xterm";
import "@xterm/xterm/css/xterm.css";
import { WebLinksAddon } from "@xterm/addon-web-links";
import { dark, onLook } from "../look";
import { adoptStyles } from "./csp";
import { FONT, LETTERS, SMALLEST, lettersFor } from "./letters";
import { MouseModes } from "./mouse";
import { followFinger } from "./touch";
import type { ISearchOptions, SearchAddon } from "@xterm/addon-search";

adoptStyles();

export interface ScreenOptions {
  /** False: whoever made it sets `letters`; else they are as large as the width allows. */
  fits?: boolean;
  /** Rows that are kept above the screen. */
  scrollback?: number;
  /** What is asked before a paste is typed; false, and it is not. Without it everything is. */
  mayPaste?: (text: string, bracketed: boolean) => boolean | Promise<boolean>;
  /** Keys that belong to the page even while one types. */
  isShortcut?: (event: KeyboardEvent) => boolean;
  onFocus?: () => void;
  onBell?: () => void;
  /** The program set the clipboard (the server lets that through only where the operator allowed it). */
  onClipboard?: (text: string) => void;
  /** A link was clicked without the key that opens it. */
  onLink?: (url: string) => void;
  /** The cursor moved, in cells of the screen. */
  onCursor?: () => void;
}

export class Screen {
  private readonly terminal: Terminal;
  private readonly watch: ResizeObserver | null;
  private readonly mouse: MouseModes;
  private readonly still: () => void;
  private readonly unlook: () => void;
  private search: SearchAddon | null = null;
  /** Rows that a finger went and that were not scrolled yet: less than one. */
  private turned = 0;
  private gone = false;

  constructor(
    private readonly box: HTMLElement,
    onInput: (text: string) => void,
    /** Called for each key while it may not type; true = the key was used. */
    onKeyWhileReading: (event: KeyboardEvent) => boolean,
    private readonly options: ScreenOptions = {},
  ) {
    const open = (event: MouseEvent, url: string) => this.follow(event, url);
    this.terminal = new Terminal({
      cursorBlink: !matchMedia("(prefers-reduced-motion: reduce)").matches,
      disableStdin: true,
      cursorStyle: "underline",
      cursorInactiveStyle: "outline",
      fontFamily: FONT,
      fontSize: LETTERS,
      linkHandler: { activate: open },
      macOptionClickForcesSelection: true,
      minimumContrastRatio: 4.5,
      scrollback: options.scrollback ?? 5_000,
      theme: this.theme(),
    });
    this.mouse = new MouseModes(this.terminal);
    this.terminal.loadAddon(new WebLinksAddon(open));
    this.terminal.open(box);
    this.terminal.onData(onInput);
    // Mouse reports of old protocols are bytes, one per character.
    this.terminal.onBinary(onInput);
    this.terminal.onBell(() => options.onBell?.());
    this.terminal.onCursorMove(() => options.onCursor?.());
    this.terminal.parser.registerOscHandler(52, (data) => this.clipboard(data));
    this.terminal.attachCustomKeyEventHandler((event) => {
      if (isCopy(event) && this.terminal.hasSelection()) {
        if (event.type === "keydown") {
          event.preventDefault();
          void this.copy();
        }
        return false;
      }
      if (!this.terminal.options.disableStdin) return !(options.isShortcut ?? isToggle)(event);
      if (event.type === "keydown" && onKeyWhileReading(event)) event.preventDefault();
      // While reading, Tab and the browser's own keys must go on working.
      return false;
    });
    box.addEventListener("paste", this.paste, true);
    box.addEventListener("focusin", this.focused);
    this.still = followFinger(box, (distance, at) => this.turn(distance, at));
    this.unlook = onLook(this.recolour);
    this.watch = options.fits === false ? null : new ResizeObserver(() => this.fit());
    this.watch?.observe(box);
  }

  /** `done` is called when the emulator has drawn it, or would have. */
  write(text: string, done?: () => void): void {
    this.terminal.write(text, done);
  }

  resize(cols: number, rows: number): void {
    if (cols < 1 || rows < 1 || (cols === this.terminal.cols && rows === this.terminal.rows)) return;
    this.terminal.resize(cols, rows);
    if (this.watch) this.fit();
  }

  get cols(): number {
    return this.terminal.cols;
  }

  get rows(): number {
    return this.terminal.rows;
  }

  /** Where the cursor is, in cells of the screen. */
  get cursor(): { x: number; y: number } {
    const buffer = this.terminal.buffer.active;
    return { x: buffer.cursorX, y: buffer.cursorY + buffer.baseY - buffer.viewportY };
  }

  /** Whether arrow keys are sent as the program asked for (DECCKM). */
  get applicationKeys(): boolean {
    return this.terminal.modes.applicationCursorKeysMode;
  }

  get letters(): number {
    return this.terminal.options.fontSize ?? LETTERS;
  }

  set letters(size: number) {
    if (this.terminal.options.fontSize !== size) this.terminal.options.fontSize = size;
  }

  set typing(on: boolean) {
    if (this.terminal.options.disableStdin === !on) return;
    this.terminal.options.disableStdin = !on;
    this.terminal.options.cursorStyle = on ? "block" : "underline";
    this.mouse.reporting = on;
    // No on-screen keyboard for who only reads.
    if (this.terminal.textarea) this.terminal.textarea.inputMode = on ? "text" : "none";
  }

  /** The rows as text for screen readers, which cannot read what is drawn. */
  set forScreenReaders(on: boolean) {
    this.terminal.options.screenReaderMode = on;
  }

  set label(text: string) {
    this.terminal.textarea?.setAttribute("aria-label", text);
  }

  focus(): void {
    this.terminal.focus();
  }

  /** Go through the rows that were shown: a positive number towards the newest. */
  scroll(rows: number): void {
    this.terminal.scrollLines(rows);
  }

  get selection(): string {
    return this.terminal.getSelection();
  }

  /** The selected text into the clipboard; false when there is none, or the browser refuses. */
  async copy(): Promise<boolean> {
    const text = this.terminal.getSelection();
    return text !== "" && (await toClipboard(text));
  }

  /** Type a text as if it was pasted. */
  async insert(text: string): Promise<void> {
    const may = this.options.mayPaste?.(text, this.terminal.modes.bracketedPasteMode) ?? true;
    if ((typeof may === "boolean" ? may : await may) && !this.gone) this.terminal.paste(text);
  }

  /** Select the next place of `text` among the rows that are kept; false when there is none. */
  async find(text: string, backwards: boolean, options: ISearchOptions = {}): Promise<boolean> {
    if (this.search === null) {
      const { SearchAddon: Addon } = await import("@xterm/addon-search");
      if (this.gone) return false;
      this.search ??= new Addon();
      this.terminal.loadAddon(this.search);
    }
    return backwards ? this.search.findPrevious(text, options) : this.search.findNext(text, options);
  }

  clearSelection(): void {
    this.terminal.clearSelection();
  }

  dispose(): void {
    this.gone = true;
    this.watch?.disconnect();
    this.still();
    this.box.removeEventListener("paste", this.paste, true);
    this.box.removeEventListener("focusin", this.focused);
    this.unlook();
    this.terminal.dispose();
  }

  /** The largest letters in which every column is seen; below the smallest the box scrolls sideways. */
  fit(): void {
    const width = this.box.clientWidth;
    if (width > 0) this.letters = Math.max(SMALLEST, lettersFor(this.terminal.cols, 1, width - 4, Infinity, LETTERS));
  }

  private readonly focused = (): void => this.options.onFocus?.();

  private readonly paste = (event: ClipboardEvent): void => {
    if (this.terminal.options.disableStdin || !this.options.mayPaste) return;
    event.preventDefault();
    event.stopPropagation();
    const text = event.clipboardData?.getData("text/plain") ?? "";
    if (text !== "") void this.insert(text);
  };

  /** A finger went so far: through the rows that were shown, or to a program that wants wheels and arrow keys. */
  private turn(distance: number, { clientX, clientY }: Touch): void {
    const element = this.box.querySelector(".xterm-screen");
    if (!element) return;
    if (this.terminal.buffer.active.type === "alternate" || this.terminal.modes.mouseTrackingMode !== "none") {
      const how = { deltaY: distance, deltaMode: 0, bubbles: true, cancelable: true, clientX, clientY };
      element.dispatchEvent(new WheelEvent("wheel", how));
      return;
    }
    this.turned += distance / (element.clientHeight / this.terminal.rows);
    const rows = Math.trunc(this.turned);
    this.turned -= rows;
    if (rows !== 0) this.terminal.scrollLines(rows);
  }

  private follow(event: MouseEvent, url: string): void {
    if (!/^https?:\/\//i.test(url)) return;
    // Without a key: a click belongs to the selection, and to programs that take the mouse.
    if (event.ctrlKey || event.metaKey) window.open(url, "_blank", "noopener,noreferrer");
    else this.options.onLink?.(url);
  }

  private clipboard(data: string): boolean {
    const text = decodeBase64(data.slice(data.indexOf(";") + 1));
    if (text !== null && !this.terminal.options.disableStdin) this.options.onClipboard?.(text);
    return true;
  }

  private readonly recolour = (): void => {
    this.terminal.options.theme = this.theme();
  };

  private theme(): ITheme {
    const style = getComputedStyle(document.documentElement);
    const colour = (name: string): string => style.getPropertyValue(name).trim();
    const own = { background: colour("--screen"), foreground: colour("--screen-text"), cursor: colour("--accent") };
    return dark() ? own : { ...LIGHT, ...own };
  }
}

/** The key that takes and gives back control. */
const isToggle = (event: KeyboardEvent): boolean => event.key === "Enter" && event.ctrlKey && event.shiftKey;

/** Ctrl+C alone is the program's. */
const isCopy = (event: KeyboardEvent): boolean =>
  event.ctrlKey && !event.altKey && ((event.shiftKey && event.code === "KeyC") || (!event.shiftKey && event.code === "Insert"));

export async function toClipboard(text: string): Promise<boolean> {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    // Not offered over plain HTTP, or not allowed.
    return false;
  }
}

function decodeBase64(data: string): string | null {
  try {
    return new TextDecoder().decode(Uint8Array.from(atob(data), (letter) => letter.charCodeAt(0)));
  } catch {
    return null;
  }
}

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
