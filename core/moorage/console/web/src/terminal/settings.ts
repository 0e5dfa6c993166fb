// What somebody prefers on this device.
import { LETTERS } from "./letters";

export interface Settings {
  /** The letters' size in CSS pixels. */
  letters: number;
  /** Whether letters shrink until all of the window is seen. */
  whole: boolean;
  /** Whether only one pane is shown. */
  single: boolean;
  /** Whether the terminal takes the size of this page while one has control. */
  resize: boolean;
  /** Whether the rows are text for screen readers too. */
  reader: boolean;
  /** Whether keys that a touch screen lacks are shown. */
  keys: boolean;
}

const KEY = "moorage.terminal";

/** Somebody with a phone who takes control must not shrink everybody's terminal to it without meaning to. */
const small = (): boolean => matchMedia("(pointer: coarse)").matches || Math.min(innerWidth, innerHeight) < 500;

export function load(): Settings {
  const settings: Settings = {
    letters: LETTERS,
    whole: true,
    single: small(),
    resize: !small(),
    reader: false,
    keys: matchMedia("(pointer: coarse)").matches,
  };
  try {
    const stored = JSON.parse(localStorage.getItem(KEY) ?? "{}") as Partial<Settings>;
    for (const name of Object.keys(settings) as (keyof Settings)[]) {
      if (typeof stored[name] === typeof settings[name]) Object.assign(settings, { [name]: stored[name] });
    }
  } catch {
    // Not allowed to store, or something else wrote there: the defaults do.
  }
  return settings;
}

export function save(settings: Settings): void {
  try {
    localStorage.setItem(KEY, JSON.stringify(settings));
  } catch {
    // As above.
  }
}
