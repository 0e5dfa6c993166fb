// All of one's sessions: a coding agent for each project, how it is, and the ways into it.
import type { JSX } from "preact";
import { flushSync } from "preact/compat";
import { useRef, useState } from "preact/hooks";
import type { PageProps } from "../app";
import { useBegin } from "../begin";
import { Problem, Said, useTask, useTitle } from "../forms";
import { useListKeys } from "../listkeys";
import { go } from "../router";
import { Trouble } from "../shell/trouble";
import { Controls, type Done } from "./controls";
import { NewSession } from "./new";
import * as sessions from "./sessions";
import { Facts, Ways } from "./summary";
import { useWatched } from "./watch";
import "../list.css";
import "./sessions.css";

export default function SessionsPage({ state, refresh }: PageProps): JSX.Element {
  useTitle("Sessions");
  const mount = sessions.mountOf(state);
  return (
    <main class="sessions">
      {mount === null ? (
        <>
          <h1>Sessions</h1>
          <p class="empty">
            No coding agents are served at this address. Whoever runs this server switches them on with{" "}
            <code>moorage plugins enable opencode</code>.
          </p>
        </>
      ) : (
        <List mount={mount} state={state} refresh={refresh} />
      )}
    </main>
  );
}

interface Found {
  list: sessions.Session[];
  newer: Set<string>;
}

async function load(mount: string): Promise<Found> {
  const [list, updates] = await Promise.all([sessions.list(mount), sessions.updates(mount).catch(() => [])]);
  return { list, newer: new Set(updates.filter((one) => one.update_available).map((one) => one.session_id)) };
}

function List({ mount, state, refresh }: PageProps & { mount: string }): JSX.Element {
  const { found, problem, again } = useWatched(mount, () => load(mount), refresh);
  const [making, setMaking] = useState(false);
  const [said, setSaid] = useState<string | null>(null);
  const task = useTask(refresh);
  const list = useRef<HTMLUListElement>(null);
  const heading = useRef<HTMLHeadingElement>(null);
  const { permissions } = state.user;
  const mayCreate = permissions.includes(sessions.MAY.create);
  useBegin(mayCreate, () => setMaking(true));
  useListKeys(list, mayCreate ? { n: () => flushSync(() => setMaking(true)) } : {});

  const done: Done = async (text, gone) => {
    setSaid(text);
    await again();
    if (gone) heading.current?.focus();
  };
  return (
    <>
      <div class="heading">
        <h1 ref={heading} tabIndex={-1}>
          Sessions
        </h1>
        {mayCreate && (
          <button type="button" aria-haspopup="dialog" aria-keyshortcuts="n" onClick={() => setMaking(true)}>
            New session
          </button>
        )}
      </div>
      {problem !== null && <Trouble text={problem} retry={again} />}
      <Problem text={task.problem} />
      <Said>{said}</Said>
      {found === null ? (
        problem === null && <p class="loading">Loading…</p>
      ) : found.list.length === 0 ? (
        <p class="empty">
          You have no sessions. A session is a coding agent, OpenCode, that works on a project of this server
          {mayCreate ? ": begin one with the button above." : "; your role may not begin one."}
        </p>
      ) : (
        <ul class="rows" ref={list}>
          {found.list.map((session) => (
            <li class="item" key={session.id}>
              <div>
                <a class="name card" href={sessions.pageOf(session.id)}>
                  {session.name}
                </a>{" "}
                <span class={`mark ${session.status}`}>{sessions.statusText(session.status)}</span>
                {found.newer.has(session.id) && <span class="mark newer">Newer version</span>}
                <Facts session={session} />
              </div>
              <div class="choice">
                <Ways mount={mount} session={session} permissions={permissions} />
                <Controls
                  mount={mount}
                  session={session}
                  permissions={permissions}
                  newer={found.newer.has(session.id)}
                  task={task}
                  done={done}
                />
              </div>
            </li>
          ))}
        </ul>
      )}
      {making && (
        <NewSession
          mount={mount}
          refresh={refresh}
          onClose={() => setMaking(false)}
          onMade={(session) => go(sessions.pageOf(session.id))}
        />
      )}
    </>
  );
}
