// Everybody's logins: who is on, from where, what they hold open. Each can be ended.
import type { JSX } from "preact";
import { useRef, useState } from "preact/hooks";
import * as api from "../api";
import type { PageProps } from "../app";
import { Said, useTitle } from "../forms";
import { ADMIN, MAY, may } from "../places";
import { Trouble } from "../shell/trouble";
import { program } from "../words";
import { Ask } from "./ask";
import { At, type Column, PAGE, Pages, queryOf, Table, Typed, useFetched, useFilters } from "./lists";

export interface Login {
  id: string;
  user: string;
  user_id: string;
  role: string;
  kind: string;
  client_name: string | null;
  address: string;
  user_agent: string;
  created_at: string;
  last_seen_at: string;
  expires_at: string;
  connections: Record<string, number>;
  current: boolean;
}

export interface Logins {
  sessions: Login[];
  total: number;
}

/** How often the list is asked for again, in milliseconds. */
const ASK_EVERY = 10_000;

export const LOGINS = "/api/core/admin/sessions";
export const nameOf = (login: Login): string => login.client_name ?? program(login.user_agent);

export default function SessionsPage({ state, refresh }: PageProps): JSX.Element {
  useTitle("Logins");
  const filters = useFilters(ADMIN.sessions);
  const user = filters.of("user");
  const path = `${LOGINS}?${queryOf({ user, offset: filters.offset, limit: PAGE })}`;
  const { found, problem, again } = useFetched<Logins>(path, refresh, ASK_EVERY);
  const [said, setSaid] = useState<string | null>(null);
  const heading = useRef<HTMLHeadingElement>(null);
  const ended = async (login: Login) => {
    setSaid(`Ended: the login of ${login.user} by ${nameOf(login)}.`);
    await again();
    heading.current?.focus();
  };
  return (
    <main>
      <h1 ref={heading} tabIndex={-1}>
        Logins
      </h1>
      <form class="filters" role="search" aria-label="Filter the logins" onSubmit={(event) => event.preventDefault()}>
        <Typed label="Of the user" value={user} placeholder="everybody" onType={(text) => filters.show({ user: text })} />
      </form>
      <Said>{said}</Said>
      {problem !== null && <Trouble text={problem} retry={again} />}
      {found === null ? (
        problem === null && <p class="loading">Loading…</p>
      ) : (
        <>
          {found.sessions.length === 0 ? (
            <p class="empty">
              {user === "" ? "Nobody is signed in." : `${user} is not signed in anywhere.`}{" "}
              {user !== "" && <a href={ADMIN.sessions}>Show everybody's</a>}
            </p>
          ) : (
            <LoginsTable logins={found.sessions} naming mayEnd={may(state, MAY.endSessions)} refresh={refresh} ended={ended} />
          )}
          <Pages of="logins" filters={filters} count={found.sessions.length} total={found.total} />
        </>
      )}
    </main>
  );
}

interface TableProps {
  logins: Login[];
  /** Whether it is told whose they are. */
  naming: boolean;
  mayEnd: boolean;
  refresh: () => Promise<void>;
  ended: (login: Login) => Promise<void>;
}

export function LoginsTable({ logins, naming, mayEnd, refresh, ended }: TableProps): JSX.Element {
  const [asking, setAsking] = useState<Login | null>(null);
  const end = async (login: Login) => {
    try {
      await api.remove(`/api/core/sessions/${encodeURIComponent(login.id)}`);
    } catch (error) {
      // It ended meanwhile: what was wanted.
      if (!(error instanceof api.ApiError && error.status === 404)) throw error;
    }
    setAsking(null);
    await ended(login);
  };
  const columns: Column<Login>[] = [
    {
      title: naming ? "Who" : "By",
      kind: "name",
      cell: (login) =>
        naming ? (
          <>
            <a href={`${ADMIN.users}/${login.user_id}`}>{login.user}</a>
            {login.current && <span class="mark">this one</span>}
            <small>{login.role}</small>
          </>
        ) : (
          <By login={login} />
        ),
    },
    ...(naming ? [{ title: "By", cell: (login: Login) => <By login={login} /> }] : []),
    { title: "From", cell: (login) => login.address },
    { title: "Last seen", cell: (login) => <At time={login.last_seen_at} /> },
    {
      title: "Signed in",
      cell: (login) => (
        <>
          <At time={login.created_at} />
          <small>
            ends <At time={login.expires_at} />
          </small>
        </>
      ),
    },
    { title: "Holds open", cell: (login) => holds(login) || "nothing" },
    {
      title: "What can be done",
      kind: "actions",
      cell: (login) =>
        mayEnd && !login.current ? (
          <button type="button" class="quiet" aria-haspopup="dialog" onClick={() => setAsking(login)}>
            End<span class="unseen"> the login of {`${login.user} by ${nameOf(login)}`}</span>
          </button>
        ) : null,
    },
  ];
  return (
    <>
      <Table label="Logins" columns={columns} rows={logins} keyOf={({ id }) => id} />
      {asking !== null && (
        <Ask
          title={`End the login of ${asking.user}?`}
          yes="End it"
          refresh={refresh}
          onClose={() => setAsking(null)}
          act={() => end(asking)}
        >
          <p>
            {nameOf(asking)} at {asking.address}, last seen <At time={asking.last_seen_at} />.
          </p>
          <p>
            {holds(asking) === "" ? "It holds nothing open." : `What it holds open closes at once: ${holds(asking)}.`} They can sign in
            again.
          </p>
        </Ask>
      )}
    </>
  );
}

function By({ login }: { login: Login }): JSX.Element {
  return (
    <>
      <span title={login.user_agent}>{nameOf(login)}</span>
      {login.client_name !== null && <span class="mark">program</span>}
      {login.current && <span class="unseen"> (this one)</span>}
    </>
  );
}

const holds = (login: Login): string =>
  Object.entries(login.connections)
    .map(([plugin, count]) => (count === 1 ? plugin : `${plugin} × ${count}`))
    .join(", ");
