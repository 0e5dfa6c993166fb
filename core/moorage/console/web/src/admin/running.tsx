// What goes on for everybody: coding sessions, terminals, MCP servers, answers of models. Each can be ended.
import type { JSX } from "preact";
import { useRef, useState } from "preact/hooks";
import * as api from "../api";
import type { PageProps } from "../app";
import { Said, useTitle } from "../forms";
import { ADMIN } from "../places";
import { Trouble } from "../shell/trouble";
import { Ask } from "./ask";
import { At, Chosen, type Column, PAGE, Pages, queryOf, Table, Typed, useFetched, useFilters } from "./lists";

interface Running {
  plugin: string;
  kind: string;
  id: string;
  title: string;
  detail: string;
  /** Null for what people share. */
  user: string | null;
  user_id: string | null;
  href: string;
  since: string | null;
  state: string;
  /** What ending it does; "" for who may not. */
  ending: string;
}

interface Found {
  running: Running[];
  missing: string[];
}

const RUNNING = "/api/core/admin/running";
/** How often the list is asked for again, in milliseconds. */
const ASK_EVERY = 5_000;
/** Milliseconds that an end may take: a little longer than the server waits. */
const END = 75_000;

export default function RunningPage({ refresh }: PageProps): JSX.Element {
  useTitle("Running");
  const filters = useFilters(ADMIN.running);
  const [user, kind] = [filters.of("user"), filters.of("kind")];
  const { found, problem, again } = useFetched<Found>(`${RUNNING}?${queryOf({ user })}`, refresh, ASK_EVERY);
  const { said, heading, ended } = useEnded(again);
  const all = found?.running ?? [];
  const kinds = [...new Set(all.map((one) => one.kind))].sort();
  const wanted = all.filter((one) => kind === "" || one.kind === kind);
  const shown = wanted.slice(filters.offset, filters.offset + PAGE);
  const filtered = user !== "" || kind !== "";
  return (
    <main>
      <h1 ref={heading} tabIndex={-1}>
        Running
      </h1>
      <form class="filters" role="search" aria-label="Filter what runs" onSubmit={(event) => event.preventDefault()}>
        <Typed label="Of the user" value={user} placeholder="everybody" onType={(text) => filters.show({ user: text })} />
        <Chosen
          label="Kind"
          value={kind}
          options={[["", "all"], ...kinds.map((one) => [one, one] as const)]}
          onChoose={(one) => filters.show({ kind: one })}
        />
      </form>
      <Said>{said}</Said>
      {problem !== null && <Trouble text={problem} retry={again} />}
      <Missing found={found} />
      {found === null ? (
        problem === null && <p class="loading">Loading…</p>
      ) : (
        <>
          {shown.length === 0 ? (
            <p class="empty">
              {filtered ? "Nothing like this runs." : "Nothing runs for anybody."} {filtered && <a href={ADMIN.running}>Show all that runs</a>}
            </p>
          ) : (
            <RunningTable running={shown} naming refresh={refresh} ended={ended} />
          )}
          <Pages of="things" filters={filters} count={shown.length} total={wanted.length} />
        </>
      )}
    </main>
  );
}

/** A part of one user's page. */
export function RunsFor({ user, refresh }: { user: string; refresh: () => Promise<void> }): JSX.Element {
  const { found, problem, again } = useFetched<Found>(`${RUNNING}?${queryOf({ user })}`, refresh, ASK_EVERY);
  const { said, heading, ended } = useEnded(again);
  return (
    <section class="part" aria-labelledby="runs">
      <h2 id="runs" ref={heading} tabIndex={-1}>
        What runs for them
      </h2>
      <Said>{said}</Said>
      {problem !== null && <Trouble text={problem} retry={again} />}
      <Missing found={found} />
      {found === null ? (
        problem === null && <p class="loading">Loading…</p>
      ) : found.running.length === 0 ? (
        <p class="empty">Nothing.</p>
      ) : (
        <RunningTable running={found.running} naming={false} refresh={refresh} ended={ended} />
      )}
    </section>
  );
}

/** What is told once something has ended: the button is gone, so the focus goes to the heading. */
function useEnded(again: () => Promise<void>) {
  const [said, setSaid] = useState<string | null>(null);
  const heading = useRef<HTMLHeadingElement>(null);
  const ended = async (text: string) => {
    setSaid(text);
    await again();
    heading.current?.focus();
  };
  return { said, heading, ended };
}

const Missing = ({ found }: { found: Found | null }): JSX.Element | null =>
  found === null || found.missing.length === 0 ? null : (
    <p class="problem" role="alert">
      What runs of these plugins is not known at the moment: {found.missing.join(", ")}.{" "}
      <a href={`${ADMIN.plugins}?state=unwell`}>See how plugins are</a>
    </p>
  );

interface TableProps {
  running: Running[];
  /** Whether it is told whose they are. */
  naming: boolean;
  refresh: () => Promise<void>;
  ended: (text: string) => Promise<void>;
}

const keyOf = ({ plugin, kind, id }: Running): string => JSON.stringify([plugin, kind, id]);

function RunningTable({ running, naming, refresh, ended }: TableProps): JSX.Element {
  const [asking, setAsking] = useState<Running | null>(null);
  const end = async ({ plugin, kind, id, title }: Running) => {
    let text = `Ended: ${title}.`;
    try {
      await api.postLong(`${RUNNING}/end`, END, { plugin, kind, id });
    } catch (error) {
      if (!(error instanceof api.ApiError && error.status === 404)) throw error;
      text = `${title} had ended already.`;
    }
    setAsking(null);
    await ended(text);
  };
  const columns: Column<Running>[] = [
    {
      title: "What",
      kind: "name",
      cell: ({ title, href, kind, detail }) => (
        <>
          {href === "" ? title : <a href={href}>{title}</a>}
          <small>
            {kind}
            {detail !== "" && `: ${detail}`}
          </small>
        </>
      ),
    },
    ...(naming ? [{ title: "Whose", cell: (one: Running) => <Whose one={one} /> }] : []),
    { title: "State", cell: ({ state }) => state },
    { title: "Since", cell: ({ since }) => <At time={since} never="not known" /> },
    {
      title: "What can be done",
      kind: "actions",
      cell: (one) =>
        one.ending === "" ? null : (
          <button type="button" class="quiet" aria-haspopup="dialog" onClick={() => setAsking(one)}>
            End<span class="unseen"> {`the ${one.kind} ${one.title}${one.user === null ? "" : ` of ${one.user}`}`}</span>
          </button>
        ),
    },
  ];
  return (
    <>
      <Table label="What runs" columns={columns} rows={running} keyOf={keyOf} />
      {asking !== null && (
        <Ask title={`End ${asking.title}?`} yes="End it" refresh={refresh} onClose={() => setAsking(null)} act={() => end(asking)}>
          <p>
            {asking.user === null ? "People share it." : `It is ${asking.user}'s.`} {asking.ending}
          </p>
          <p class="hint">This can take up to a minute. Who ended it is written to the audit log.</p>
        </Ask>
      )}
    </>
  );
}

const Whose = ({ one }: { one: Running }): JSX.Element =>
  one.user === null ? <>shared</> : <a href={`${ADMIN.users}/${one.user_id ?? ""}`}>{one.user}</a>;
