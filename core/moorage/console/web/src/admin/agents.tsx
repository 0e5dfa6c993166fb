// Sessions of coding agents, everybody's: who has which, how it is, and the ways to end it.
import type { JSX } from "preact";
import { useRef, useState } from "preact/hooks";
import * as api from "../api";
import type { PageProps } from "../app";
import { Said, useTitle } from "../forms";
import { ADMIN, MAY, may } from "../places";
import { usePolled } from "../polled";
import * as sessions from "../sessions/sessions";
import { Trouble } from "../shell/trouble";
import { Ask } from "./ask";
import { At, type Column, queryOf, Table } from "./lists";
import { type Page, USERS } from "./people";
import "../sessions/sessions.css";

/** How often the list is asked for again, in milliseconds. */
const ASK_EVERY = 5_000;
/** The newest so many are listed, and the names of so many users are asked for. */
const MOST = 200;

interface Found {
  list: sessions.Session[];
  names: Map<string, string>;
}

async function load(mount: string, naming: boolean): Promise<Found> {
  const [list, people] = await Promise.all([
    api.get<sessions.Session[]>(`${mount}/api/admin/sessions?${queryOf({ limit: MOST })}`),
    // Whose they are is told by a number where the names may not be read.
    naming ? api.get<Page>(`${USERS}?${queryOf({ limit: MOST })}`) : null,
  ]);
  return { list, names: new Map(people?.users.map(({ id, username }) => [id, username])) };
}

export default function AgentsPage({ state, refresh }: PageProps): JSX.Element {
  useTitle("All sessions");
  const mount = sessions.mountOf(state) ?? "";
  const naming = may(state, MAY.readUsers);
  const { found, problem, again } = usePolled(() => load(mount, naming), ASK_EVERY, refresh, mount);
  const [asking, setAsking] = useState<{ session: sessions.Session; stop: boolean } | null>(null);
  const [said, setSaid] = useState<string | null>(null);
  const heading = useRef<HTMLHeadingElement>(null);
  const owner = ({ user_id: id }: sessions.Session): string => (id === null ? "nobody" : (found?.names.get(id) ?? id));
  const end = async (session: sessions.Session, stop: boolean) => {
    const path = `${mount}/api/admin/sessions/${encodeURIComponent(session.id)}`;
    try {
      await api.ask(stop ? "POST" : "DELETE", stop ? `${path}/stop` : path, { wait: 180_000 });
    } catch (error) {
      // It was deleted meanwhile.
      if (!(error instanceof api.ApiError && error.status === 404)) throw error;
    }
    setAsking(null);
    setSaid(`${stop ? "Stopped" : "Deleted"}: ${session.name} of ${owner(session)}.`);
    await again();
    heading.current?.focus();
  };
  const button = (session: sessions.Session, stop: boolean) => (
    <button type="button" class="quiet" aria-haspopup="dialog" onClick={() => setAsking({ session, stop })}>
      {stop ? "Stop" : "Delete"}
      <span class="unseen"> {`${session.name} of ${owner(session)}`}</span>
    </button>
  );
  const columns: Column<sessions.Session>[] = [
    {
      title: "Session",
      kind: "name",
      cell: (session) => (
        <>
          {session.name} <small>{session.project_path}</small>
        </>
      ),
    },
    {
      title: "Of",
      cell: (session) => (session.user_id !== null && naming ? <a href={`${ADMIN.users}/${session.user_id}`}>{owner(session)}</a> : owner(session)),
    },
    { title: "State", cell: ({ status }) => <span class={`mark ${status}`}>{sessions.statusText(status)}</span> },
    { title: "Last used", cell: (session) => <At time={session.last_activity_at ?? session.started_at} /> },
    { title: "Made", cell: ({ created_at }) => <At time={created_at} /> },
    {
      title: "What can be done",
      kind: "actions",
      cell: (session) => (
        <div class="choice">
          {may(state, `${sessions.MAY.control}:any`) && (session.status === "running" || session.status === "starting") && button(session, true)}
          {may(state, `${sessions.MAY.delete}:any`) && button(session, false)}
        </div>
      ),
    },
  ];
  return (
    <main>
      <h1 ref={heading} tabIndex={-1}>
        All sessions
      </h1>
      <Said>{said}</Said>
      {problem !== null && <Trouble text={problem} retry={again} />}
      {found === null ? (
        problem === null && <p class="loading">Loading…</p>
      ) : found.list.length === 0 ? (
        <p class="empty">Nobody has a session. They appear here when somebody begins one.</p>
      ) : (
        <Table label="All sessions" columns={columns} rows={found.list} keyOf={({ id }) => id} />
      )}
      {found !== null && found.list.length >= MOST && <p class="hint">These are the newest {MOST}.</p>}
      {asking !== null && (
        <Ask
          title={`${asking.stop ? "Stop" : "Delete"} ${asking.session.name} of ${owner(asking.session)}?`}
          yes={asking.stop ? "Stop it" : "Delete it"}
          refresh={refresh}
          onClose={() => setAsking(null)}
          act={() => end(asking.session, asking.stop)}
        >
          <p>
            {asking.stop
              ? "What its agent does now is broken off. It can be resumed."
              : "What its agent does now is broken off, and what it knows is lost. The project's files stay."}{" "}
            Whoever looks at it is told.
          </p>
        </Ask>
      )}
    </main>
  );
}
