// What a command, a button or a key does, with the question that comes before it.
import type { Actions, Offers } from "./commands";
import type { Question } from "./ask";
import { LARGEST, SMALLEST } from "./letters";
import { toClipboard } from "./screen";
import type { Settings } from "./settings";
import type { Shared, State } from "./shared";
import type { Person, Window } from "./types";

export type Panel = "find" | "help" | "history" | "manage";
type Asks = (question: Question) => Promise<string | null>;

interface Means {
  shared: Shared;
  state: State;
  may: Offers;
  settings: Settings;
  /** Whether the terminal takes this page's size now. */
  sizing: boolean;
  /** The size of the letters that are seen now. */
  seen: number;
  set: (change: Partial<Settings>) => void;
  open: (panel: Panel) => void;
  look: (pane: string) => void;
  ask: Asks;
}

const windowPath = (id: string): string => `/windows/${encodeURIComponent(id)}`;

export function actionsOf({ shared, state, may, settings, sizing, seen, set, open, look, ask }: Means): Actions {
  const take = async () => {
    if (may.override) {
      const name = state.claim?.userName || "Somebody";
      const text = `${name} is typing here. What they type from then on is not sent.`;
      if ((await ask({ title: `Take over from ${name}?`, text, yes: "Take over" })) === null) return;
    }
    const { chosen } = state;
    if ((await shared.take()) && chosen !== null) await shared.call("patch", windowPath(chosen), { active: true });
  };
  const record = async (on: boolean) => {
    if (on) {
      const text = "Everybody who is here is told, and everybody who comes. What is shown is kept until somebody deletes it.";
      if ((await ask({ title: "Record this terminal?", text, yes: "Record" })) !== null) await shared.call("post", "/recording");
    } else if (await shared.call("remove", "/recording")) shared.notice("The recording is kept under Recordings.", false);
  };
  return {
    take: () => void take(),
    release: () => void shared.release(),
    request: () => void shared.call("post", "/claim/request"),
    handOver: (person: Person) => void shared.call("post", "/claim/transfer", { userId: person.id }),
    find: () => open("find"),
    help: () => open("help"),
    history: () => open("history"),
    manage: () => open("manage"),
    letters: (step) => {
      const size = Math.max(SMALLEST, Math.min(LARGEST, Math.round(seen) + step));
      // Larger than fits: then not all of the window is seen, which who enlarges wants. A driver's window follows.
      set({ letters: size, whole: settings.whole && (step < 0 || seen === settings.letters || sizing) });
    },
    set,
    record: (on) => void record(on),
    choose: (window: Window) => {
      if (may.drive) void shared.call("patch", windowPath(window.id), { active: true });
      else shared.choose(window.id);
    },
    look,
    ask,
  };
}

/** Characters from which on a paste is asked about. */
const LARGE_PASTE = 10_000;
const QUOTED = 500;

/** Whether a paste is meant: a large one, or lines that the program would take for as many commands. */
export async function mayPaste(ask: Asks, text: string, bracketed: boolean): Promise<boolean> {
  const lines = text.trimEnd().split(/\r\n|\r|\n/).length;
  if (text.length <= LARGE_PASTE && (bracketed || lines === 1)) return true;
  const what = lines > 1 ? `${lines} lines` : `${text.length} characters`;
  const why = bracketed ? {} : { text: "Each line is sent as if you pressed Enter after it." };
  const quote = text.length > QUOTED ? `${text.slice(0, QUOTED)}…` : text;
  return (await ask({ title: `Paste ${what}?`, ...why, quote, yes: "Paste" })) !== null;
}

/** A link that was clicked without the key that opens it. */
export async function mayOpen(ask: Asks, url: string): Promise<void> {
  const yes = await ask({ title: "Open this link?", quote: url, yes: "Open" });
  if (yes !== null) window.open(url, "_blank", "noopener,noreferrer");
}

/** What a program puts into the clipboard is told, since nobody pressed a key for it. */
export async function copied(shared: Shared, text: string): Promise<void> {
  const done = await toClipboard(text);
  const refused = "The program has a text for your clipboard, which the browser refused.";
  shared.notice(done ? "The program copied a text to your clipboard." : refused, !done);
}
