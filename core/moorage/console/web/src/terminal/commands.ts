// What can be done with a terminal, and the keys that do it: Ctrl+Shift+B, then as after tmux's own prefix.

import { MAY } from "../tmux";
import type { Question } from "./ask";
import type { Settings } from "./settings";
import type { Shared, State } from "./shared";
import type { Pane, Person, Window } from "./types";

export interface Command {
  id: string;
  label: string;
  /** The key, once the menu is open. */
  key: string;
  group: string;
  /** Set for what is on or off. */
  checked?: boolean;
  /** The menu stays open, for what one does several times. */
  stays?: boolean;
  run: () => void;
}

type Shortcut = "control" | "menu" | "find";

/**
 * Keys that work while one types. Terminals cannot tell Ctrl+Shift+letter from Ctrl+letter, so no program waits
 * for one of them.
 */
export function shortcut(event: KeyboardEvent): Shortcut | null {
  if (!event.ctrlKey || !event.shiftKey || event.altKey || event.metaKey) return null;
  if (event.key === "Enter") return "control";
  if (event.code === "KeyB") return "menu";
  return event.code === "KeyF" ? "find" : null;
}

/** Keys while one only reads: the program gets none of them. */
export function plainShortcut(event: KeyboardEvent): "menu" | "help" | null {
  if (event.ctrlKey || event.altKey || event.metaKey) return null;
  return event.key === "?" ? "help" : event.key === "m" ? "menu" : null;
}

export interface Actions {
  take: () => void;
  release: () => void;
  request: () => void;
  handOver: (person: Person) => void;
  find: () => void;
  help: () => void;
  history: () => void;
  /** Rename or end the session. */
  manage: () => void;
  letters: (step: number) => void;
  set: (change: Partial<Settings>) => void;
  record: (on: boolean) => void;
  choose: (window: Window) => void;
  /** Look at a pane, where one is shown at a time. */
  look: (pane: string) => void;
  ask: (question: Question) => Promise<string | null>;
}

interface Situation {
  shared: Shared;
  state: State;
  settings: Settings;
  shown: Window | undefined;
  /** The pane that one types into, or looks at. */
  active: Pane | undefined;
  mine: boolean;
  may: Offers;
}

/** What this user is offered now. */
export interface Offers {
  take: boolean;
  override: boolean;
  request: boolean;
  drive: boolean;
  record: boolean;
  rename: boolean;
  end: boolean;
}

export function offers(state: State, mine: boolean): Offers {
  const may = (name: string) => state.permissions.has(name);
  const free = state.claim === null;
  return {
    take: free && may(MAY.claim),
    override: !free && !mine && may(MAY.claim) && may(MAY.override),
    request: !free && !mine && may(MAY.claim),
    drive: mine && may(MAY.input),
    record: may(MAY.record),
    rename: may(MAY.rename),
    end: may(MAY.end),
  };
}

/** Everything that can be done now, in the order of the menu. */
export function commands(situation: Situation, actions: Actions): Command[] {
  return [...control(situation, actions), ...windows(situation, actions), ...panes(situation, actions), ...view(situation, actions)];
}

function control({ shared, state, mine, may }: Situation, actions: Actions): Command[] {
  const group = "Control";
  const found: Command[] = [];
  const asker = state.askers.at(-1);
  if (mine && asker) {
    found.push({ id: "hand", group, key: "h", label: `Hand over to ${asker.name}`, run: () => actions.handOver(asker) });
    found.push({ id: "decline", group, key: "d", label: `Not now, ${asker.name}`, run: () => shared.decline(asker) });
  }
  if (mine) found.push({ id: "release", group, key: "t", label: "Give control back", run: actions.release });
  if (may.take) found.push({ id: "take", group, key: "t", label: "Take control", run: actions.take });
  if (may.override) found.push({ id: "take", group, key: "t", label: "Take over", run: actions.take });
  if (may.request) found.push({ id: "request", group, key: "a", label: "Ask for control", run: actions.request });
  return found;
}

function windows({ shared, state, shown, may }: Situation, { choose, ask }: Actions): Command[] {
  const group = "Windows";
  const found: Command[] = [];
  const all = state.windows;
  const here = all.findIndex((window) => window.id === shown?.id);
  const go = (step: number) => () => {
    const to = all[(here + step + all.length) % all.length];
    if (to) choose(to);
  };
  if (may.drive) found.push({ id: "new", group, key: "c", label: "New window", run: () => void shared.call("post", "/windows", {}) });
  if (all.length > 1) {
    found.push({ id: "next", group, key: "n", label: "Next window", stays: true, run: go(1) });
    found.push({ id: "previous", group, key: "p", label: "Previous window", stays: true, run: go(-1) });
  }
  if (may.drive && shown) {
    const path = `/windows/${encodeURIComponent(shown.id)}`;
    const rename = async () => {
      const name = await ask({ title: "Rename the window", yes: "Rename", field: { label: "Name", value: shown.name } });
      if (name) await shared.call("patch", path, { name });
    };
    const close = async () => {
      const text = "What runs in it ends, for everybody.";
      const yes = await ask({ title: `Close window ${shown.index}: ${shown.name}?`, text, yes: "Close it", danger: true });
      if (yes !== null) await shared.call("remove", path);
    };
    found.push({ id: "rename", group, key: ",", label: "Rename window…", run: () => void rename() });
    found.push({ id: "close", group, key: "&", label: "Close window…", run: () => void close() });
  }
  return found;
}

function panes({ shared, settings, shown, active, may }: Situation, { ask, look }: Actions): Command[] {
  const group = "Panes";
  if (!shown || !active) return [];
  const path = (id: string) => `/panes/${encodeURIComponent(id)}`;
  const next = () => {
    const at = shown.panes.findIndex((pane) => pane.id === active.id);
    const to = shown.panes[(at + 1) % shown.panes.length];
    if (to && may.drive) void shared.call("patch", path(to.id), { active: true });
    else if (to) look(to.id);
  };
  const several = shown.panes.length > 1;
  const other: Command = { id: "other", group, key: "o", label: "Next pane", stays: true, run: next };
  if (!may.drive) return several && settings.single ? [other] : [];
  const split = (direction: string) => () => void shared.call("post", "/panes", { pane: active.id, direction });
  const found: Command[] = [
    { id: "right", group, key: "%", label: "Split to the right", run: split("right") },
    { id: "down", group, key: '"', label: "Split downwards", run: split("down") },
  ];
  if (several) {
    const close = async () => {
      const text = "What runs in it ends, for everybody.";
      const yes = await ask({ title: `Close pane ${active.index}?`, text, yes: "Close it", danger: true });
      if (yes !== null) await shared.call("remove", path(active.id));
    };
    const zoom = () => void shared.call("patch", path(active.id), { zoomed: !shown.zoomed });
    found.push(other);
    found.push({ id: "zoom", group, key: "z", label: "Zoom the pane, for everybody", checked: shown.zoomed, run: zoom });
    found.push({ id: "close-pane", group, key: "x", label: "Close pane…", run: () => void close() });
  }
  return found;
}

function view({ state, settings, mine, may }: Situation, actions: Actions): Command[] {
  const group = "View";
  const found: Command[] = [
    { id: "find", group, key: "/", label: "Find…", run: actions.find },
    { id: "history", group, key: "[", label: "History…", run: actions.history },
    { id: "larger", group, key: "+", label: "Larger letters", stays: true, run: () => actions.letters(1) },
    { id: "smaller", group, key: "-", label: "Smaller letters", stays: true, run: () => actions.letters(-1) },
    {
      id: "whole",
      group,
      key: "w",
      label: "Show all of the window",
      checked: settings.whole,
      run: () => actions.set({ whole: !settings.whole }),
    },
    {
      id: "single",
      group,
      key: "1",
      label: "One pane at a time",
      checked: settings.single,
      run: () => actions.set({ single: !settings.single }),
    },
    {
      id: "reader",
      group,
      key: "s",
      label: "Text for screen readers",
      checked: settings.reader,
      run: () => actions.set({ reader: !settings.reader }),
    },
  ];
  // For those who may type.
  const typing: Command[] = [
    {
      id: "resize",
      group,
      key: "f",
      label: "Fit the terminal to my screen while I type",
      checked: settings.resize,
      run: () => actions.set({ resize: !settings.resize }),
    },
    { id: "keys", group, key: "k", label: "On-screen keys", checked: settings.keys, run: () => actions.set({ keys: !settings.keys }) },
  ];
  if (state.permissions.has(MAY.claim)) found.push(...typing);
  const on = state.recording !== null;
  // What the server records by itself ends nobody but its operator.
  if (may.record && (!on || state.recording?.by)) {
    found.push({ id: "record", group, key: "r", label: on ? "Stop recording" : "Record…", run: () => actions.record(!on) });
  }
  const held = state.claim !== null && !mine;
  if ((may.rename && !held) || may.end) {
    found.push({ id: "manage", group, key: "$", label: "Rename or end the terminal…", run: actions.manage });
  }
  found.push({ id: "help", group, key: "?", label: "Keys", run: actions.help });
  return found;
}
