// The terminals of this server, who is in them, and the way in.
import type { JSX } from "preact";
import { flushSync } from "preact/compat";
import { useEffect, useRef, useState } from "preact/hooks";
import type { PageProps } from "../app";
import { useBegin } from "../begin";
import { useTitle } from "../forms";
import { useListKeys } from "../listkeys";
import { go } from "../router";
import { Trouble } from "../shell/trouble";
import * as tmux from "../tmux";
import { Card } from "./card";
import { matching, useSessions } from "./sessions";
import "../list.css";

type Dialogs = typeof import("./dialogs");

/** More sessions than these can be filtered. */
const HANDFUL = 6;
/** Times in words are drawn anew so often. */
const REDRAW_EVERY = 15_000;

export default function TerminalsPage({ state, refresh }: PageProps): JSX.Element {
  const mount = tmux.mountOf(state);
  useTitle("Terminals");
  if (mount !== null) return <Sessions mount={mount} state={state} refresh={refresh} />;
  return (
    <main>
      <h1>Terminals</h1>
      <p class="empty">
        No terminals are served at this address. Whoever runs this server switches them on with <code>moorage plugins enable tmux</code>.
      </p>
    </main>
  );
}

function Sessions({ mount, state, refresh }: PageProps & { mount: string }): JSX.Element {
  const { sessions, problem, command, again } = useSessions(mount, refresh);
  const [filter, setFilter] = useState("");
  const [dialogs, setDialogs] = useState<Dialogs | null>(null);
  const [lost, setLost] = useState<unknown>(null);
  const [making, setMaking] = useState(false);
  const [managed, setManaged] = useState<tmux.Session | null>(null);
  const [focused, setFocused] = useState<string | null>(null);
  const [, setTick] = useState(0);
  const list = useRef<HTMLUListElement>(null);
  const search = useRef<HTMLInputElement>(null);
  const heading = useRef<HTMLHeadingElement>(null);

  const { permissions, id: me } = state.user;
  const may = (permission: string) => permissions.includes(permission);
  const mayCreate = may(tmux.MAY.create);
  const mayManage = may(tmux.MAY.rename) || may(tmux.MAY.end);
  const filters = filter !== "" || (sessions?.length ?? 0) > HANDFUL;
  const shown = sessions === null ? null : matching(sessions, filter);

  useEffect(() => {
    const timer = setInterval(() => setTick((tick) => tick + 1), REDRAW_EVERY);
    return () => clearInterval(timer);
  }, []);
  useEffect(() => {
    if (mayCreate || mayManage) void import("./dialogs").then(setDialogs, setLost);
  }, [mayCreate, mayManage]);
  useEffect(() => {
    // What had the focus is gone with its old name.
    const link = [...(list.current?.querySelectorAll<HTMLElement>("a.card") ?? [])].find((card) => card.dataset["id"] === focused);
    if (focused === null || !link) return;
    link.focus();
    setFocused(null);
  }, [focused, sessions]);
  useBegin(mayCreate, () => setMaking(true));
  useListKeys(list, {
    // Drawn before the next key comes: a key that opens a dialog is followed by typing into it.
    ...(mayCreate ? { n: () => flushSync(() => setMaking(true)) } : {}),
    ...(filters ? { "/": () => search.current?.focus() } : {}),
  });

  // Without them buttons would do nothing: what is around the page says why.
  if (lost !== null) throw lost;
  const closeManaged = (name?: string | null) => {
    setManaged(null);
    if (name === undefined) return;
    again();
    if (name === null) heading.current?.focus();
    else setFocused(name);
  };
  return (
    <main>
      <div class="heading">
        <h1 ref={heading} tabIndex={-1}>
          Terminals
        </h1>
        {filters && (
          <input
            ref={search}
            type="search"
            placeholder="Filter ( / )"
            aria-label="Filter terminals"
            aria-keyshortcuts="/"
            value={filter}
            onInput={(event) => setFilter(event.currentTarget.value)}
            onKeyDown={(event) => {
              if (event.key === "Escape") setFilter("");
              const only = shown?.[0];
              if (event.key === "Enter" && only) go(tmux.pageOf(only.id));
            }}
          />
        )}
        {mayCreate && (
          <button type="button" aria-haspopup="dialog" aria-keyshortcuts="n" onClick={() => setMaking(true)}>
            New terminal
          </button>
        )}
      </div>
      {problem !== null && <Trouble text={problem} retry={async () => again()} />}
      {shown === null ? (
        problem === null && <p class="loading">Loading…</p>
      ) : shown.length === 0 ? (
        <Nothing filter={filter} mayCreate={mayCreate} command={command} />
      ) : (
        <ul class="cards" ref={list}>
          {shown.map((session) => (
            <Card key={session.id} session={session} me={me} manage={mayManage ? () => setManaged(session) : null} />
          ))}
        </ul>
      )}
      {shown !== null && filter !== "" && (
        <p class="unseen" role="status">
          {shown.length === 1 ? "1 terminal" : `${shown.length} terminals`}
        </p>
      )}
      {dialogs !== null && making && (
        <dialogs.NewTerminal
          mount={mount}
          refresh={refresh}
          onClose={() => setMaking(false)}
          onMade={(session) => go(tmux.pageOf(session.id))}
        />
      )}
      {dialogs !== null && managed !== null && (
        <dialogs.ManageTerminal
          mount={mount}
          session={managed}
          permissions={permissions}
          refresh={refresh}
          onClose={closeManaged}
        />
      )}
    </main>
  );
}

function Nothing({ filter, mayCreate, command }: { filter: string; mayCreate: boolean; command: string | null }): JSX.Element {
  if (filter !== "") return <p class="empty">No terminal's name, and nobody in one, matches “{filter}”.</p>;
  return (
    <div class="empty">
      <p>No terminal runs.{!mayCreate && " Once somebody starts one, it appears here by itself."}</p>
      {mayCreate && (
        <p>
          Start one with the button above{command !== null && (
            <>
              , or in a shell on the server with <code>{command}</code>
            </>
          )}
          ; it appears here by itself.
        </p>
      )}
    </div>
  );
}
