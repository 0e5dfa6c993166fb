// A shared terminal as one sees it: the bar, its windows as tabs, the panes, and what lies above them.
import type { JSX } from "preact";
import { lazy, Suspense } from "preact/compat";
import { useCallback, useEffect, useLayoutEffect, useMemo, useRef, useState } from "preact/hooks";
import { Dialog } from "../dialog";
import { useTitle } from "../forms";
import { ManageTerminal } from "../home/dialogs";
import { useQuestions } from "./ask";
import { type Actions, commands, offers, plainShortcut, shortcut } from "./commands";
import { Asked, Buttons, Lease, Mode, readingNotice, Recorded } from "./control";
import { Find } from "./find";
import { Help } from "./help";
import { KeyRow } from "./keyrow";
import { type Held, keyBytes, withHeld } from "./keys";
import { LARGEST, lettersFor, SMALLEST } from "./letters";
import { Menu } from "./menu";
import { Notices } from "./notices";
import { People } from "./people";
import { type Screen, toClipboard } from "./screen";
import { load, save, type Settings } from "./settings";
import type { Shared, State } from "./shared";
import { Stage } from "./stage";
import { alone, type Person, type Window } from "./types";
import { useViewport } from "./viewport";
import { title, Windows } from "./windows";

const History = lazy(() => import("./history"));

const LARGE_PASTE = 10_000;
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
  const [settings, setSettings] = useState<Settings>(load);
  const [menu, setMenu] = useState(false);
  const [panel, setPanel] = useState<"find" | "help" | "history" | "manage" | null>(null);
  const [held, setHeld] = useState<Held>(NOTHING_HELD);
  const screens = useMemo(() => new Map<string, Screen>(), []);

  const mine = state.claim?.userId === user;
  const may = offers(state, mine);
  const typing = mine && state.phase === "open" && state.ended === null;
  const shown = state.windows.find((window) => window.id === state.chosen) ?? state.windows.find((window) => window.active);
  // The pane that a page which shows one at a time looks at; who has control looks where they type.
  const [looked, setLooked] = useState<string | null>(null);
  const active =
    shown?.panes.find((pane) => (looked !== null && !mine && settings.single ? pane.id === looked : pane.active)) ??
    shown?.panes.find((pane) => pane.active) ??
    shown?.panes[0];

  const focus = useCallback(() => {
    const again = () => {
      if (!document.activeElement?.closest("dialog, .list, .find")) screens.get(now.current.active?.id ?? "")?.focus();
    };
    screens.get(now.current.active?.id ?? "")?.focus();
    // What closes may give the focus back to where it was, later.
    setTimeout(again);
  }, [screens]);
  const closed = () => {
    setPanel(null);
    focus();
  };
  const [question, ask] = useQuestions(focus);

  const set = (change: Partial<Settings>) => {
    const next = { ...settings, ...change };
    setSettings(next);
    save(next);
  };
  const letters = (step: number) => {
    const stage = document.querySelector<HTMLElement>(".screen");
    const seen =
      settings.whole && shown && stage
        ? lettersFor(shown.cols, shown.rows, stage.offsetWidth, stage.offsetHeight, settings.letters)
        : settings.letters;
    const size = Math.max(SMALLEST, Math.min(LARGEST, Math.round(seen) + step));
    // Larger than fits: then not all of the window is seen, which who enlarges wants. A driver's window follows.
    set({ letters: size, whole: settings.whole && (step < 0 || seen === settings.letters || (typing && settings.resize)) });
  };

  const take = async () => {
    if (may.override) {
      const name = state.claim?.userName || "Somebody";
      const text = `${name} is typing here. What they type from then on is not sent.`;
      if ((await ask({ title: `Take over from ${name}?`, text, yes: "Take over" })) === null) return;
    }
    const chosen = state.chosen;
    if ((await shared.take()) && chosen !== null) await shared.call("patch", `/windows/${encodeURIComponent(chosen)}`, { active: true });
  };
  const choose = (window: Window) => {
    if (may.drive) void shared.call("patch", `/windows/${encodeURIComponent(window.id)}`, { active: true });
    else shared.choose(window.id);
  };
  const record = async (on: boolean) => {
    if (on) {
      const text = "Everybody who is here is told, and everybody who comes. What is shown is kept until somebody deletes it.";
      if ((await ask({ title: "Record this terminal?", text, yes: "Record" })) !== null) await shared.call("post", "/recording");
    } else await shared.call("remove", "/recording");
  };
  const actions: Actions = {
    take: () => void take(),
    release: () => void shared.release(),
    request: () => void shared.call("post", "/claim/request"),
    handOver: (person: Person) => void shared.call("post", "/claim/transfer", { userId: person.id }),
    find: () => setPanel("find"),
    help: () => setPanel("help"),
    history: () => setPanel("history"),
    manage: () => setPanel("manage"),
    letters,
    set,
    record: (on) => void record(on),
    choose,
    look: setLooked,
    ask,
  };
  const all = commands({ shared, state, settings, shown, active, mine, may }, actions);
  // Handlers that are made once read the present state from here.
  const now = useRef({ active, actions, held, may, menu, mine, shared, state, typing });
  now.current = { active, actions, held, may, menu, mine, shared, state, typing };

  useEffect(() => {
    const press = (event: KeyboardEvent) => {
      const { actions, menu, mine, may, typing } = now.current;
      if (document.querySelector("dialog[open]")) return;
      const wanted = shortcut(event) ?? (typing || menu || isField(event.target) ? null : plainShortcut(event));
      if (wanted === null || (menu && wanted !== "menu")) return;
      event.preventDefault();
      event.stopImmediatePropagation();
      if (wanted === "menu") setMenu((open) => !open);
      else if (wanted === "find") actions.find();
      else if (wanted === "help") actions.help();
      else if (mine) actions.release();
      else if (may.take || may.override) actions.take();
      else if (may.request) actions.request();
    };
    window.addEventListener("keydown", press, true);
    return () => window.removeEventListener("keydown", press, true);
  }, []);

  // A key that is pressed on seeing that one may type must not be lost; neither when the session moves on.
  const seat = active?.id;
  const here = useRef<string | undefined>(undefined);
  useLayoutEffect(() => {
    if (seat === undefined) return;
    const moved = here.current !== seat;
    here.current = seat;
    const idle = document.activeElement === document.body || isTerminal(document.activeElement);
    if (typing ? !moved || idle : moved && idle) screens.get(seat)?.focus();
    if (typing) shared.notice(null);
  }, [typing, seat, shared, screens]);
  useViewport();

  const onInput = (pane: string, text: string) => {
    const { held, typing, shared } = now.current;
    if (!typing) return;
    shared.type(pane, withHeld(text, held));
    if (held.ctrl || held.alt) setHeld(NOTHING_HELD);
  };
  const onKeyWhileReading = (event: KeyboardEvent): boolean => {
    const { may, state, actions } = now.current;
    if (event.key === "Enter" && may.take && !event.ctrlKey && !event.altKey && !event.metaKey) {
      actions.take();
      return true;
    }
    if (event.key.length === 1 && !event.ctrlKey && !event.metaKey) now.current.shared.notice(readingNotice(may.take, may.request, state));
    return false;
  };
  const onFocus = (pane: string) => {
    const { may, state, shared } = now.current;
    const window = state.windows.find((each) => each.panes.some(({ id }) => id === pane));
    if (!may.drive || !window || window.panes.find(({ id }) => id === pane)?.active) return;
    void shared.call("patch", `/panes/${encodeURIComponent(pane)}`, { active: true });
  };
  const mayPaste = async (text: string, bracketed: boolean): Promise<boolean> => {
    const lines = text.trimEnd().split(/\r\n|\r|\n/).length;
    if (text.length <= LARGE_PASTE && (bracketed || lines === 1)) return true;
    const what = lines > 1 ? `${lines} lines` : `${text.length} characters`;
    const why = bracketed ? {} : { text: "Each line is sent as if you pressed Enter after it." };
    const quote = text.length > 500 ? `${text.slice(0, 500)}…` : text;
    return (await ask({ title: `Paste ${what}?`, ...why, quote, yes: "Paste" })) !== null;
  };

  return (
    <main class={`terminal${typing ? " driving" : ""}`}>
      <div class="bar">
        <a class="back" href="/" title="All terminals">
          ‹<span class="unseen"> All terminals</span>
        </a>
        <h1>{state.name}</h1>
        <Mode claim={state.claim} mine={mine} typing={typing} />
        {mine && state.claim && <Lease expiresAt={state.claim.expiresAt} onKeep={actions.take} />}
        {state.recording && <Recorded recording={state.recording} onStop={may.record ? () => actions.record(false) : null} />}
        <div class="tools">
          <People people={state.people} me={user} holder={state.claim?.userId ?? null} mayHand={mine} onHand={actions.handOver} />
          {state.ended === null && <Buttons mine={mine} may={may} actions={actions} />}
          <span class="letters" role="group" aria-label="Size of the letters">
            <button type="button" class="quiet small" title="Smaller letters" onClick={() => letters(-1)}>
              A−
            </button>
            <button type="button" class="quiet small" title="Larger letters" onClick={() => letters(1)}>
              A+
            </button>
          </span>
          <Menu commands={all} open={menu} onOpen={setMenu} onLeave={focus} />
        </div>
      </div>
      {state.windows.length > 0 && shown && (
        <Windows
          windows={state.windows}
          shown={shown.id}
          driving={may.drive}
          following={state.chosen === null}
          onChoose={choose}
          onFollow={() => {
            shared.choose(null);
            focus();
          }}
          onNew={() => void shared.call("post", "/windows", {})}
        />
      )}
      <div class="area" id="terminal-panel" role="tabpanel" aria-label={shown ? title(shown) : state.name}>
        <Notices state={state} again={again} onClose={() => shared.notice(null)}>
          {panel === "find" && (
            <Find
              screen={() => screens.get(now.current.active?.id ?? "")}
              onHistory={actions.history}
              onClose={closed}
            />
          )}
          {mine && state.askers.map((asker) => (
            <Asked key={asker.id} asker={asker} onHand={() => actions.handOver(asker)} onDecline={() => shared.decline(asker)} />
          ))}
        </Notices>
        {shown && (
          <Stage
            shared={shared}
            window={settings.single && active ? alone(shown, active) : shown}
            size={shown}
            typing={typing}
            settings={settings}
            label={`Terminal ${state.name}`}
            screens={screens}
            onInput={onInput}
            onKeyWhileReading={onKeyWhileReading}
            onFocus={onFocus}
            options={{
              mayPaste,
              isShortcut: (event) => shortcut(event) !== null,
              onClipboard: (text) => void copied(shared, text),
              onLink: (url) => void ask({ title: "Open this link?", quote: url, yes: "Open" }).then((yes) => yes !== null && openLink(url)),
            }}
          />
        )}
      </div>
      {settings.keys && typing && seat !== undefined && (
        <KeyRow held={held} onHold={setHeld} onKey={(key) => onKey(key, screens.get(seat), seat)} />
      )}
      {panel === "history" && active && (
        <Suspense fallback={<Dialog title={`History of ${state.name}`} onClose={closed}>Loading…</Dialog>}>
          <History mount={mount} session={state.name} pane={active.id} onClose={closed} />
        </Suspense>
      )}
      {panel === "manage" && (
        <ManageTerminal
          mount={mount}
          session={{ id: state.name, name: state.name, windows: state.windows.length, created: "", attached: false, claim: state.claim }}
          permissions={[...state.permissions]}
          refresh={refresh}
          onClose={closed}
        />
      )}
      {panel === "help" && <Help commands={all} onClose={closed} />}
      {question}
    </main>
  );

  function onKey(key: string, screen: Screen | undefined, pane: string): void {
    shared.type(pane, keyBytes(key, held, screen?.applicationKeys ?? false));
    setHeld(NOTHING_HELD);
    screen?.focus();
  }
}

const isTerminal = (target: EventTarget | null): boolean => target instanceof Element && target.closest(".screen") !== null;

/** Whether keys are text where they go. */
const isField = (target: EventTarget | null): boolean =>
  target instanceof Element && target.matches("input, select, textarea") && !isTerminal(target);

async function copied(shared: Shared, text: string): Promise<void> {
  const done = await toClipboard(text);
  shared.notice(done ? "The program copied a text to your clipboard." : "The program has a text for your clipboard, which the browser refused.", !done);
}

function openLink(url: string): void {
  window.open(url, "_blank", "noopener,noreferrer");
}
