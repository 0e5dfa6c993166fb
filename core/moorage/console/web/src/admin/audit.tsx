// The audit log: what was done, by whom, to what, from where.
import type { JSX } from "preact";
import { useState } from "preact/hooks";
import type { PageProps } from "../app";
import { useTitle } from "../forms";
import { ADMIN } from "../places";
import { Trouble } from "../shell/trouble";
import { ago, full } from "../time";
import { program } from "../words";
import { type Column, type Filters, PAGE, Pages, queryOf, Table, Typed, useFetched, useFilters } from "./lists";
import { Parted } from "./name";

interface AuditEvent {
  id: number;
  at: string;
  actor: string;
  actor_id: number | null;
  method: string;
  action: string;
  target: string | null;
  address: string;
  user_agent: string;
  request_id: string;
  data: Record<string, unknown>;
}

interface Found {
  events: AuditEvent[];
  /** Usernames by what events call them. */
  names: Record<string, string>;
  /** What was looked for, with ids in place of names. */
  filter: Record<string, string | number>;
  meta: { total: number };
}

const LOG = "/api/core/admin/audit";
const FAMILIES = ["audit", "identity", "invite", "key", "login", "plugin", "session", "setup", "token", "user"].map((name) => `${name}.*`);
/** What the server takes as an action. */
const ACTION = /^([^*]+|([^*]+\.)?\*)?$/;

export default function AuditPage({ refresh }: PageProps): JSX.Element {
  useTitle("Audit");
  const given = useFilters(ADMIN.audit);
  const number = Math.floor(given.offset / PAGE);
  // The server counts pages.
  const filters = { ...given, offset: number * PAGE };
  const action = filters.of("action");
  const wrong = !ACTION.test(action);
  const asked = {
    action,
    actor: filters.of("actor"),
    target: filters.of("target"),
    address: filters.of("address"),
    request_id: filters.of("request_id"),
    since: filters.of("since"),
    until: filters.of("until"),
  };
  const page = { page: number + 1, per_page: PAGE };
  const { found, problem, again } = useFetched<Found>(wrong ? null : `${LOG}?${queryOf({ ...asked, ...page })}`, refresh);
  const filtered = Object.values(asked).some((text) => text !== "");
  return (
    <main>
      <div class="heading">
        <h1>Audit</h1>
        <button type="button" class="quiet" onClick={() => void again()}>
          Look again
        </button>
        {found !== null && !wrong && (
          <a class="button" href={`/api/v1/audit?${queryOf({ ...found.filter, format: "jsonl" })}`} download="audit.jsonl">
            Export {filtered ? "what was found" : "all"}
          </a>
        )}
      </div>
      <Asked filters={filters} asked={asked} seen={found?.events ?? []} filtered={filtered} />
      {wrong && <p class="problem">Write an action as user.created, or user.* for all of its kind.</p>}
      {problem !== null && !wrong && <Trouble text={problem} retry={again} />}
      {found === null || wrong ? (
        problem === null && !wrong && <p class="loading">Loading…</p>
      ) : (
        <>
          {found.events.length === 0 ? (
            <p class="empty">
              {filtered ? "Nothing that was done matches." : "Nothing is in the log."}{" "}
              {filtered && <a href={ADMIN.audit}>Show everything</a>}
            </p>
          ) : (
            <Events found={found} filters={filters} />
          )}
          <Pages of="events" filters={filters} count={found.events.length} total={found.meta.total} />
        </>
      )}
    </main>
  );
}

interface AskedProps {
  filters: Filters;
  asked: Record<string, string>;
  seen: AuditEvent[];
  filtered: boolean;
}

function Asked({ filters, asked, seen, filtered }: AskedProps): JSX.Element {
  const typed = (name: string, label: string, placeholder: string, known?: string[]) => (
    <Typed
      label={label}
      value={asked[name] ?? ""}
      placeholder={placeholder}
      onType={(text) => filters.show({ [name]: text })}
      {...(known === undefined ? {} : { known })}
    />
  );
  const time = (name: string, label: string) => (
    <label class="time">
      {label}
      <input
        type="datetime-local"
        value={local(asked[name] ?? "")}
        onChange={(event) => filters.show({ [name]: instant(event.currentTarget.value) })}
      />
    </label>
  );
  const actions = [...new Set([...FAMILIES, ...seen.map(({ action }) => action)])].sort();
  return (
    <form class="filters" role="search" aria-label="Filter the log" onSubmit={(event) => event.preventDefault()}>
      {typed("actor", "Who", "a username")}
      {typed("action", "Action", "login.failed, user.*", actions)}
      {typed("target", "Target", "user:ann, session:12")}
      {typed("address", "Address", "127.0.0.1")}
      {time("since", "From")}
      {time("until", "Until before")}
      {asked["request_id"] !== "" && typed("request_id", "Request", "")}
      {filtered && (
        <a class="button" href={ADMIN.audit}>
          Clear the filters
        </a>
      )}
    </form>
  );
}

function Events({ found, filters }: { found: Found; filters: Filters }): JSX.Element {
  const [open, setOpen] = useState<number | null>(null);
  const only = (name: string, value: string, text: string) => (
    <a href={filters.href({ [name]: value })} title={`Only ${text}`}>
      <Parted text={text} />
    </a>
  );
  const named = (label: string) => {
    const name = found.names[label];
    if (name === undefined) return label;
    return label.startsWith("user:") ? `user:${name}` : name;
  };
  const below = (event: AuditEvent) => `event-${event.id}`;
  const columns: Column<AuditEvent>[] = [
    { title: "Action", kind: "name", cell: ({ action }) => only("action", action, action) },
    {
      title: "When",
      kind: "line",
      cell: ({ at }) => (
        <time dateTime={at} title={ago(at)}>
          {full(at)}
        </time>
      ),
    },
    { title: "Who", kind: "person", cell: ({ actor }) => only("actor", actor, named(actor)) },
    { title: "Target", cell: ({ target }) => (target === null ? "none" : only("target", target, named(target))) },
    { title: "Address", kind: "line", cell: ({ address }) => (address === "" ? "none" : only("address", address, address)) },
    {
      title: "More",
      kind: "actions",
      cell: (event) => (
        <button
          type="button"
          class="quiet"
          aria-expanded={open === event.id}
          aria-controls={open === event.id ? below(event) : undefined}
          onClick={() => setOpen(open === event.id ? null : event.id)}
        >
          Details
          <span class="unseen">
            {" "}
            of {event.action}, {full(event.at)}
          </span>
        </button>
      ),
    },
  ];
  return (
    <Table
      label="Events"
      columns={columns}
      rows={found.events}
      keyOf={({ id }) => id}
      below={(event) => (event.id === open ? <Details event={event} id={below(event)} filters={filters} /> : null)}
    />
  );
}

function Details({ event, id, filters }: { event: AuditEvent; id: string; filters: Filters }): JSX.Element {
  return (
    <div id={id}>
      <dl class="facts">
        <dt>Number</dt>
        <dd>{event.id}</dd>
        <dt>Proven by</dt>
        <dd>{event.method}</dd>
        <dt>Program</dt>
        <dd title={event.user_agent}>{event.user_agent === "" ? "none" : program(event.user_agent)}</dd>
        {event.request_id !== "" && (
          <>
            <dt>Request</dt>
            <dd>
              <a href={filters.href({ request_id: event.request_id })}>{event.request_id}</a>
            </dd>
          </>
        )}
      </dl>
      {Object.keys(event.data).length > 0 && <pre class="data">{JSON.stringify(event.data, null, 2)}</pre>}
    </div>
  );
}

/** A moment as the field for it spells it, in the reader's zone; "" for none. */
function local(iso: string): string {
  const at = new Date(iso);
  if (iso === "" || Number.isNaN(at.getTime())) return "";
  const two = (number: number) => String(number).padStart(2, "0");
  return `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())}T${two(at.getHours())}:${two(at.getMinutes())}`;
}

function instant(text: string): string {
  const at = new Date(text);
  return Number.isNaN(at.getTime()) ? "" : at.toISOString();
}
