// Keeps the mouse for selecting while one only reads: a program that takes the mouse gets it from who types.
import type { Terminal } from "@xterm/xterm";

/** DEC private modes by which the emulator reports the mouse instead of selecting, and in what form. */
const MOUSE = new Set([9, 1000, 1001, 1002, 1003, 1005, 1006, 1015, 1016]);

export class MouseModes {
  private readonly wanted = new Set<number>();
  private on = false;
  /** True while the modes that were held back are given to the emulator, through its own parser. */
  private passing = false;

  constructor(private readonly terminal: Terminal) {
    const { parser } = terminal;
    parser.registerCsiHandler({ prefix: "?", final: "h" }, (parameters) => this.changed(parameters, true));
    parser.registerCsiHandler({ prefix: "?", final: "l" }, (parameters) => this.changed(parameters, false));
    // A reset (RIS) begins each fresh screen.
    parser.registerEscHandler({ final: "c" }, () => {
      this.wanted.clear();
      return false;
    });
  }

  /** Whether the program gets mouse reports now. */
  set reporting(on: boolean) {
    if (this.on === on) return;
    this.on = on;
    if (this.wanted.size === 0) return;
    const modes = [...this.wanted].join(";");
    this.terminal.write("", () => {
      this.passing = true;
    });
    this.terminal.write(`\x1b[?${modes}${on ? "h" : "l"}`, () => {
      this.passing = false;
    });
  }

  /** True when the sequence is dealt with: the emulator must not see it. */
  private changed(parameters: (number | number[])[], on: boolean): boolean {
    if (this.passing) return false;
    const modes = parameters.filter((mode): mode is number => typeof mode === "number" && MOUSE.has(mode));
    if (modes.length === 0) return false;
    for (const mode of modes) {
      if (on) this.wanted.add(mode);
      else this.wanted.delete(mode);
    }
    // One that mixes them with others passes whole: programs do not do that.
    return on && !this.on && modes.length === parameters.length;
  }
}
