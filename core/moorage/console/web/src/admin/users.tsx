// Who has an account: found by name, role and state, and made.
import type { JSX } from "preact";
import { useRef, useState } from "preact/hooks";
import * as api from "../api";
import type { PageProps } from "../app";
import { Dialog } from "../dialog";
import { Problem, Said, useTask, useTitle } from "../forms";
import { ADMIN, MAY, may } from "../places";
import { Trouble } from "../shell/trouble";
import { At, Chosen, type Column, PAGE, Pages, queryOf, Table, Typed, useFetched, useFilters } from "./lists";
import { PasswordForOther } from "./newpassword";
import { type Page, type RoleChoice, type Row, USERS } from "./people";
import "../home/home.css";
import "./people.css";

/** How often the list is asked for again, in milliseconds. */
const ASK_EVERY = 10_000;

const STATES = [
  ["", "all"],
  ["active", "active"],
  ["disabled", "deactivated"],
] as const;

export default function UsersPage({ state, refresh }: PageProps): JSX.Element {
  useTitle("Users");
  const filters = useFilters(ADMIN.users);
  const asked = { search: filters.of("search"), role: filters.of("role"), state: filters.of("state") };
  const { found, problem, again } = useFetched<Page>(`${USERS}?${queryOf({ ...asked, offset: filters.offset, limit: PAGE })}`, refresh, ASK_EVERY);
  const [making, setMaking] = useState(false);
  const [made, setMade] = useState<Row | null>(null);
  // Those of the last answer: the filter does not go while another one is awaited.
  const roles = useRef<RoleChoice[]>([]);
  if (found !== null) roles.current = found.roles;
  const filtered = Object.values(asked).some((text) => text !== "");
  return (
    <main>
      <div class="heading">
        <h1>Users</h1>
        {may(state, MAY.manageInvites) && (
          <a class="button" href={`${ADMIN.invites}?new=1`}>
            Invite
          </a>
        )}
        {may(state, MAY.manageUsers) && (
          <button type="button" aria-haspopup="dialog" disabled={found === null} onClick={() => setMaking(true)}>
            New user
          </button>
        )}
      </div>
      <form class="filters" role="search" aria-label="Filter the users" onSubmit={(event) => event.preventDefault()}>
        <Typed
          label="Search"
          value={asked.search}
          placeholder="part of a name or an address"
          wide
          onType={(search) => filters.show({ search })}
        />
        <Chosen
          label="Role"
          value={asked.role}
          options={[["", "all"], ...roles.current.map(({ name, users }) => [name, `${name} (${users})`] as const)]}
          onChoose={(role) => filters.show({ role })}
        />
        <Chosen label="State" value={asked.state} options={STATES} onChoose={(one) => filters.show({ state: one })} />
      </form>
      <Said>
        {made !== null && (
          <>
            Made: <a href={`${ADMIN.users}/${made.id}`}>{made.username}</a>, {made.role}.
          </>
        )}
      </Said>
      {problem !== null && <Trouble text={problem} retry={again} />}
      {found === null ? (
        problem === null && <p class="loading">Loading…</p>
      ) : (
        <>
          {found.users.length === 0 ? (
            <p class="empty">Nobody matches. {filtered && <a href={ADMIN.users}>Show everybody</a>}</p>
          ) : (
            <Table label="Users" columns={COLUMNS} rows={found.users} keyOf={({ id }) => id} />
          )}
          <Pages of="users" filters={filters} count={found.users.length} total={found.total} />
        </>
      )}
      {making && (
        <NewUser
          roles={roles.current}
          refresh={refresh}
          onClose={() => setMaking(false)}
          onMade={async (row) => {
            setMaking(false);
            setMade(row);
            await again();
          }}
        />
      )}
    </main>
  );
}

const COLUMNS: Column<Row>[] = [
  {
    title: "Who",
    kind: "name",
    cell: (row) => (
      <>
        <a href={`${ADMIN.users}/${row.id}`}>{row.username}</a>
        {row.name !== row.username && <small>{row.name}</small>}
      </>
    ),
  },
  { title: "E-mail", cell: ({ email }) => email ?? "none" },
  { title: "Role", cell: ({ role }) => role },
  { title: "State", cell: ({ active }) => (active ? "active" : <span class="mark bad">deactivated</span>) },
  { title: "Last seen", cell: ({ last_seen_at }) => <At time={last_seen_at} never="not of late" /> },
  { title: "Made", cell: ({ created_at }) => <At time={created_at} /> },
];

interface NewProps {
  roles: RoleChoice[];
  refresh: () => Promise<void>;
  onClose: () => void;
  onMade: (row: Row) => Promise<void>;
}

function NewUser({ roles, refresh, onClose, onMade }: NewProps): JSX.Element {
  const task = useTask(refresh);
  const yours = roles.filter(({ yours: may }) => may);
  const submit = (event: SubmitEvent) => {
    event.preventDefault();
    const form = new FormData(event.currentTarget as HTMLFormElement);
    const given = (name: string) => String(form.get(name) ?? "").trim() || null;
    const password = String(form.get("password")) || null;
    void task.run(async () => {
      const body = { username: given("username"), name: given("name"), email: given("email"), role: given("role"), password };
      await onMade(await api.post<Row>(USERS, body));
    });
  };
  const plain = { autocomplete: "off", autocapitalize: "none", spellcheck: false } as const;
  return (
    <Dialog title="New user" onClose={onClose}>
      <form onSubmit={submit}>
        <label>
          Username
          <input name="username" required maxLength={64} autofocus {...plain} />
        </label>
        <label>
          Name that others see
          <input name="name" maxLength={128} autocomplete="off" placeholder="the username, if you give none" />
        </label>
        <label>
          E-mail, if you like
          <input name="email" type="email" maxLength={254} {...plain} />
        </label>
        <label>
          Role
          <select name="role">
            {yours.map(({ name }) => (
              <option key={name} value={name} selected={name === "operator"}>
                {name}
              </option>
            ))}
          </select>
        </label>
        <PasswordForOther
          label="Password, if you like"
          hint="Hand it over by a safe way. Without one they can sign in only where their e-mail address is known, or once you set one."
          required={false}
        />
        <Problem text={task.problem} />
        <div class="choice">
          <button type="submit" disabled={task.busy}>
            {task.busy ? "Making…" : "Make the user"}
          </button>
          <button type="button" class="quiet" onClick={onClose}>
            Cancel
          </button>
        </div>
      </form>
    </Dialog>
  );
}
