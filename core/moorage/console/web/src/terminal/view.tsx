// A shared terminal as one sees it: the bar, its windows as tabs, the panes, and what lies above them.
import type { JSX } from "preact";
import { useMemo, useRef, useState } from "preact/hooks";
import { useTitle } from "../forms";
import { actionsOf, copied, mayOpen, mayPaste, type Panel } from "./actions";
import { useQuestions } from "./ask";
import { Bar } from "./bar";
import { commands, offers, shortcut } from "./commands";
import { Asked, readingNotice } from "./control";
import { Find } from "./find";
import { useFocus, useSeat, useShortcuts } from "./focus";
import { KeyRow } from "./keyrow";
import { type Held, keyBytes, withHeld } from "./keys";
import { Notices } from "./notices";
import { Panels } from "./panels";
import type { Screen } from "./screen";
import { load, save, type Settings } from "./settings";
import type { Shared, State } from "./shared";
import { Stage } from "./stage";
import { alone } from "./types";
import { useViewport } from "./viewport";
import { title, Windows } from "./windows";

const NOTHING_HELD: Held = { ctrl: false, alt: false };

interface ViewProps {
  mount: string;
  refresh: () => Promise<void>;
  shared: Shared;
  state: State;
  user: string;
  again: () => void;
}

export function View({ mount, refresh, shared, state, user, again }: ViewProps): JSX.Element {
  useTitle(state.name);
  useViewport();
  const [settings, setSettings] = useState<Settings>(load);
  const [menu, setMenu] = useState(false);
  const [panel, setPanel] = useState<Panel | null>(null);
  const [held, setHeld] = useState<Held>(NOTHING_HELD);
  // The pane that a page which shows one at a time looks at; who has control looks where they type.
  const [looked, setLooked] = useState<string | null>(null);
  const screens = useMemo(() => new Map<string, Screen>(), []);

  const mine = state.claim?.userId === user;
  const may = offers(state, mine);
  const typing = mine && state.phase === "open" && state.ended === null;
  const shown = state.windows.find((window) => window.id === state.chosen) ?? state.windows.find((window) => window.active);
  const active =
    shown?.panes.find((pane) => (looked !== null && !mine && settings.single ? pane.id === looked : pane.active)) ??
    shown?.panes.find((pane) => pane.active) ??
    shown?.panes[0];
  const screen = screens.get(active?.id ?? "");

  const seat = useRef<string | undefined>(undefined);
  seat.current = active?.id;
  const focus = useFocus(screens, seat);
  const [question, ask] = useQuestions(focus);
  const closed = () => {
    setPanel(null);
    focus();
  };
  const set = (change: Partial<Settings>) => {
    const next = { ...settings, ...change };
    setSettings(next);
    save(next);
  };
  const actions = actionsOf({
    ...{ shared, state, may, settings, set, ask },
    sizing: typing && settings.resize,
    seen: screen?.letters ?? settings.letters,
    open: setPanel,
    look: setLooked,
  });
  const all = commands({ shared, state, settings, shown, active, mine, may }, actions);
  useSeat(screens, active?.id, typing, () => shared.notice(null));

  // Handlers that are made once read the present state from here.
  const now = useRef({ actions, held, may, menu, mine, state, typing });
  now.current = { actions, held, may, menu, mine, state, typing };
  useShortcuts(now, (open) => {
    setMenu(open);
    if (!open) focus();
  });

  const onInput = (pane: string, text: string) => {
    const { held, typing } = now.current;
    if (!typing) return;
    shared.type(pane, withHeld(text, held));
    if (held.ctrl || held.alt) setHeld(NOTHING_HELD);
  };
  const onKeyWhileReading = (event: KeyboardEvent): boolean => {
    const { may, state, actions } = now.current;
    if (event.ctrlKey || event.metaKey) return false;
    if (event.key === "Enter" && may.take && !event.altKey) {
      actions.take();
      return true;
    }
    if (event.key.length === 1) shared.notice(readingNotice(may.take, may.request, state));
    return false;
  };
  const onFocus = (pane: string) => {
    const { may, state } = now.current;
    const found = state.windows.flatMap((window) => window.panes).find(({ id }) => id === pane);
    if (may.drive && found && !found.active) void shared.call("patch", `/panes/${encodeURIComponent(pane)}`, { active: true });
  };
  const onKey = (key: string) => {
    if (active) shared.type(active.id, keyBytes(key, held, screen?.applicationKeys ?? false));
    setHeld(NOTHING_HELD);
    screen?.focus();
  };
  const onFollow = () => {
    shared.choose(null);
    focus();
  };

  return (
    <main class={`terminal${typing ? " driving" : ""}`}>
      <Bar {...{ state, user, mine, typing, may, actions, menu }} commands={all} onMenu={setMenu} onLeave={focus} />
      {shown && (
        <Windows
          windows={state.windows}
          shown={shown.id}
          driving={may.drive}
          following={state.chosen === null}
          onChoose={actions.choose}
          onFollow={onFollow}
          onNew={() => void shared.call("post", "/windows", {})}
        />
      )}
      <div class="area" id="terminal-panel" role="tabpanel" aria-label={shown ? title(shown) : state.name}>
        <Notices state={state} again={again} onClose={() => shared.notice(null)}>
          {panel === "find" && <Find screen={() => screens.get(seat.current ?? "")} onHistory={actions.history} onClose={closed} />}
          {mine &&
            state.askers.map((asker) => (
              <Asked key={asker.id} asker={asker} onHand={() => actions.handOver(asker)} onDecline={() => shared.decline(asker)} />
            ))}
        </Notices>
        {shown && (
          <Stage
            {...{ shared, typing, settings, screens, onInput, onKeyWhileReading, onFocus }}
            window={settings.single && active ? alone(shown, active) : shown}
            size={shown}
            label={`Terminal ${state.name}`}
            options={{
              mayPaste: (text, bracketed) => mayPaste(ask, text, bracketed),
              isShortcut: (event) => shortcut(event) !== null,
              onClipboard: (text) => void copied(shared, text),
              onLink: (url) => void mayOpen(ask, url),
            }}
          />
        )}
      </div>
      {settings.keys && typing && <KeyRow held={held} onHold={setHeld} onKey={onKey} />}
      <Panels {...{ panel, mount, state, refresh }} pane={active?.id} commands={all} onClose={closed} />
      {question}
    </main>
  );
}
