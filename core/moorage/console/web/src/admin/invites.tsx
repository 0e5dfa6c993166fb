// Invites: made as links or codes, seen with who came in by them, revoked and deleted.
import type { JSX } from "preact";
import { useRef, useState } from "preact/hooks";
import * as api from "../api";
import type { PageProps } from "../app";
import { Copy } from "../copy";
import { Dialog } from "../dialog";
import { Said, useTitle } from "../forms";
import { ADMIN } from "../places";
import { Trouble } from "../shell/trouble";
import { Ask } from "./ask";
import { At, Chosen, type Column, PAGE, Pages, queryOf, Table, useFetched, useFilters } from "./lists";
import { type Made, NewInvite } from "./newinvite";
import "../home/home.css";
import "./people.css";

interface Invite {
  id: string;
  kind: string;
  code: string | null;
  role: string;
  note: string | null;
  state: string;
  used_count: number;
  max_uses: number | null;
  created_by: string | null;
  created_at: string;
  expires_at: string | null;
}

interface Found {
  invites: Invite[];
  total: number;
  /** Into which one may invite. */
  roles: string[];
}

const LIST = "/api/core/admin/invites";
const SHOWN = [
  ["", "all"],
  ["valid", "those that let somebody in"],
  ["ended", "those that do not any more"],
] as const;
const STATES: Record<string, string> = { valid: "valid", revoked: "revoked", expired: "expired", exhausted: "used up" };

/** How often the list is asked for again, in milliseconds. */
const ASK_EVERY = 10_000;

/** How one tells an invite from others. */
const nameOf = (invite: Invite): string => invite.note || invite.code || `${invite.kind} for ${invite.role}`;

export default function InvitesPage({ refresh }: PageProps): JSX.Element {
  useTitle("Invites");
  const filters = useFilters(ADMIN.invites);
  const shown = filters.of("state");
  const { found, problem, again } = useFetched<Found>(`${LIST}?${queryOf({ state: shown, offset: filters.offset, limit: PAGE })}`, refresh, ASK_EVERY);
  const [made, setMade] = useState<Made | null>(null);
  const [said, setSaid] = useState<string | null>(null);
  const heading = useRef<HTMLHeadingElement>(null);
  const making = filters.of("new") !== "";
  const roles = useRef<string[]>([]);
  if (found !== null) roles.current = found.roles;
  const done = async (text: string) => {
    setSaid(text);
    await again();
    heading.current?.focus();
  };
  return (
    <main>
      <div class="heading">
        <h1 ref={heading} tabIndex={-1}>
          Invites
        </h1>
        <button
          type="button"
          aria-haspopup="dialog"
          disabled={roles.current.length === 0}
          onClick={() => filters.show({ new: 1, offset: filters.offset })}
        >
          New invite
        </button>
      </div>
      <form class="filters" role="search" aria-label="Filter the invites" onSubmit={(event) => event.preventDefault()}>
        <Chosen label="Show" value={shown} options={SHOWN} onChoose={(state) => filters.show({ state })} />
      </form>
      {made !== null && (
        <Fresh
          made={made}
          hide={() => {
            setMade(null);
            heading.current?.focus();
          }}
        />
      )}
      <Said>{said}</Said>
      {problem !== null && <Trouble text={problem} retry={again} />}
      {found === null ? (
        problem === null && <p class="loading">Loading…</p>
      ) : (
        <>
          {found.invites.length === 0 ? (
            <p class="empty">
              {shown === "" ? "There are no invites. Make one to let somebody in." : "There are none of these."}{" "}
              {shown !== "" && <a href={ADMIN.invites}>Show all</a>}
            </p>
          ) : (
            <Invites invites={found.invites} refresh={refresh} done={done} />
          )}
          <Pages of="invites" filters={filters} count={found.invites.length} total={found.total} />
        </>
      )}
      {making && found !== null && (
        <NewInvite
          roles={roles.current}
          refresh={refresh}
          onClose={() => filters.show({ new: "", offset: filters.offset })}
          onMade={async (one) => {
            filters.show({ new: "", offset: filters.offset });
            setSaid(null);
            setMade(one);
            await again();
          }}
        />
      )}
    </main>
  );
}

/** What is told this once. */
function Fresh({ made, hide }: { made: Made; hide: () => void }): JSX.Element {
  const link = made.kind === "link";
  return (
    <div class="secret fresh">
      <label>
        {link ? "The link of the new invite. It is shown this once: send it to whom it is for." : "The code of the new invite."}
        <input class="code" value={made.text} readOnly spellcheck={false} autofocus onFocus={(event) => event.currentTarget.select()} />
      </label>
      <div class="choice">
        <Copy text={made.text} about={link ? "the link" : "the code"}>
          Copy
        </Copy>
        <button type="button" class="quiet" onClick={hide}>
          Done
        </button>
      </div>
    </div>
  );
}

interface InvitesProps {
  invites: Invite[];
  refresh: () => Promise<void>;
  done: (text: string) => Promise<void>;
}

function Invites({ invites, refresh, done }: InvitesProps): JSX.Element {
  const [open, setOpen] = useState<{ invite: Invite; what: "revoke" | "delete" | "who" } | null>(null);
  const close = () => setOpen(null);
  const act = (invite: Invite, what: "revoke" | "delete") => async () => {
    const id = encodeURIComponent(invite.id);
    await (what === "revoke" ? api.post(`/api/admin/invite-codes/${id}/revoke`) : api.remove(`/api/admin/invite-codes/${id}`));
    close();
    await done(`${what === "revoke" ? "Revoked" : "Deleted"}: ${nameOf(invite)}.`);
  };
  const button = (invite: Invite, what: "revoke" | "delete" | "who", text: string) => (
    <button type="button" class="quiet" aria-haspopup="dialog" onClick={() => setOpen({ invite, what })}>
      {text}
      <span class="unseen"> {nameOf(invite)}</span>
    </button>
  );
  const columns: Column<Invite>[] = [
    {
      title: "Invite",
      kind: "name",
      cell: (invite) => (
        <>
          {nameOf(invite)}
          {invite.code !== null && invite.note !== null && <small class="code">{invite.code}</small>}
          {invite.kind === "code" && invite.code === null && <small>a code that you may not see</small>}
        </>
      ),
    },
    { title: "Role", cell: ({ role }) => role },
    {
      title: "State",
      cell: ({ state }) => <span class={state === "valid" ? "mark good" : "mark"}>{STATES[state] ?? state}</span>,
    },
    {
      title: "Used",
      cell: (invite) => `${invite.used_count} ${invite.max_uses === null ? "times" : `of ${invite.max_uses}`}`,
    },
    { title: "Ends", cell: ({ expires_at }) => <At time={expires_at} never="when revoked" /> },
    {
      title: "Made",
      cell: (invite) => (
        <>
          <At time={invite.created_at} />
          {invite.created_by !== null && <small>by {invite.created_by}</small>}
        </>
      ),
    },
    {
      title: "What can be done",
      kind: "actions",
      cell: (invite) => (
        <div class="choice">
          {invite.code !== null && (
            <Copy text={invite.code} about={`the code ${invite.code}`}>
              Copy
            </Copy>
          )}
          {invite.used_count > 0 && button(invite, "who", "Who came")}
          {invite.state === "valid" && button(invite, "revoke", "Revoke")}
          {button(invite, "delete", "Delete")}
        </div>
      ),
    },
  ];
  return (
    <>
      <Table label="Invites" columns={columns} rows={invites} keyOf={({ id }) => id} />
      {open !== null && open.what === "who" && <Came invite={open.invite} refresh={refresh} onClose={close} />}
      {open !== null && open.what !== "who" && (
        <Ask
          title={open.what === "revoke" ? `Revoke the invite ${nameOf(open.invite)}?` : `Delete the invite ${nameOf(open.invite)}?`}
          yes={open.what === "revoke" ? "Revoke it" : "Delete it"}
          refresh={refresh}
          onClose={close}
          act={act(open.invite, open.what)}
        >
          <p>
            {open.invite.state === "valid" ? "Nobody comes in by it any more. " : ""}
            {open.what === "delete" && "The record of who came in by it goes as well. "}
            Who came in by it stays.
          </p>
        </Ask>
      )}
    </>
  );
}

interface Came {
  invited_users: { id: string; name: string; email: string | null; role: string; at: string }[];
}

/** Who came in by an invite. */
function Came({ invite, refresh, onClose }: { invite: Invite; refresh: () => Promise<void>; onClose: () => void }): JSX.Element {
  const { found, problem, again } = useFetched<Came>(`/api/invites/${encodeURIComponent(invite.id)}`, refresh);
  return (
    <Dialog title={`Who came in by ${nameOf(invite)}`} onClose={onClose}>
      {problem !== null && <Trouble text={problem} retry={again} />}
      {found === null ? (
        problem === null && <p class="loading">Loading…</p>
      ) : found.invited_users.length === 0 ? (
        <p class="empty">Nobody who is still here.</p>
      ) : (
        <ul class="rows">
          {found.invited_users.map((user) => (
            <li class="item" key={user.id}>
              <a href={`${ADMIN.users}/${user.id}`}>{user.name}</a>
              <span>
                {user.role}, <At time={user.at} />
              </span>
            </li>
          ))}
        </ul>
      )}
    </Dialog>
  );
}
