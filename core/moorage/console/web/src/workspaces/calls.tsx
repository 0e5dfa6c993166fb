// What was asked of a workspace's servers: by whom, for how long, and how it ended.
import type { JSX } from "preact";
import { useEffect, useState } from "preact/hooks";
import * as api from "../api";
import { usePolled } from "../polled";
import { go, useQuery } from "../router";
import { Trouble } from "../shell/trouble";
import { ago, full } from "../time";
import type { PartProps } from "./one";
import * as workspaces from "./workspaces";

const COLUMNS = ["When", "What", "Outcome", "Took", "Who", "Arguments"] as const;
const BAD = new Set(["tool_error", "error", "denied", "timeout"]);

export function Calls({ mount, workspace, user, refresh }: PartProps): JSX.Element {
  const query = useQuery();
  const wanted: workspaces.CallsQuery = {
    page: Math.max(1, Math.floor(Number(query.get("page")) || 1)),
    outcome: Object.hasOwn(workspaces.OUTCOMES, query.get("outcome") ?? "") ? (query.get("outcome") ?? "") : "",
    tool: query.get("tool") ?? "",
  };
  const key = JSON.stringify([mount, workspace.id, wanted]);
  const { found, problem, again } = usePolled(() => workspaces.calls(mount, workspace.id, wanted), workspaces.ASK_EVERY, refresh, key);
  const keys = useKeys(user.number);
  const address = (change: Partial<workspaces.CallsQuery>) => {
    const next = { ...wanted, page: 1, ...change };
    const search = new URLSearchParams();
    if (next.outcome !== "") search.set("outcome", next.outcome);
    if (next.tool !== "") search.set("tool", next.tool);
    if (next.page > 1) search.set("page", String(next.page));
    const text = search.toString();
    return workspaces.pageOf(workspace.id, "calls") + (text && `?${text}`);
  };
  const submit = (event: SubmitEvent) => {
    event.preventDefault();
    const form = new FormData(event.currentTarget as HTMLFormElement);
    go(address({ tool: String(form.get("tool")).trim() }));
  };
  const who = (call: workspaces.Call): string => {
    const person = call.user_id === user.number ? "You" : `User ${call.user_id}`;
    const [kind, number] = call.credential.split(":");
    if (kind === "api_key") return `${person}, with the key ${keys[Number(number)] ?? number}`;
    return person;
  };
  const filtered = wanted.outcome !== "" || wanted.tool !== "";
  return (
    <section class="part" aria-labelledby="calls-heading">
      <h2 id="calls-heading">Calls</h2>
      <form class="filter" role="search" onSubmit={submit}>
        <label>
          Tool
          <input key={wanted.tool} name="tool" type="search" defaultValue={wanted.tool} placeholder="its whole name" autocomplete="off" autocapitalize="none" spellcheck={false} />
        </label>
        <label>
          Outcome
          <select value={wanted.outcome} onChange={(event) => go(address({ outcome: event.currentTarget.value }))}>
            <option value="">All</option>
            {Object.entries(workspaces.OUTCOMES).map(([name, text]) => (
              <option key={name} value={name}>
                {text}
              </option>
            ))}
          </select>
        </label>
        <button type="submit" class="quiet">
          Show
        </button>
      </form>
      {problem !== null && <Trouble text={problem} retry={again} />}
      {found === null ? (
        problem === null && <p class="loading">Loading…</p>
      ) : found.calls.length === 0 ? (
        <p class="empty">{filtered ? "No such calls." : "Nothing has been asked of its servers yet."}</p>
      ) : (
        <table class="calls" role="table">
          <thead role="rowgroup">
            <tr role="row">
              {COLUMNS.map((name) => (
                <th key={name} scope="col" role="columnheader">
                  {name}
                </th>
              ))}
            </tr>
          </thead>
          <tbody role="rowgroup">
            {found.calls.map((call) => (
              <tr key={call.id} role="row">
                <td role="cell" data-label="When">
                  <time title={full(call.at)}>{ago(call.at)}</time>
                </td>
                <td role="cell" data-label="What">
                  <strong>{call.tool ?? call.method}</strong>
                  <br />
                  <small>
                    {call.tool !== null && call.method !== "tools/call" && `${call.method}, `}
                    {call.upstream}
                  </small>
                </td>
                <td role="cell" data-label="Outcome">
                  <span class={BAD.has(call.outcome) ? "bad" : ""}>{workspaces.OUTCOMES[call.outcome] ?? call.outcome}</span>
                  {call.error !== null && <small class="error">{call.error}</small>}
                </td>
                <td role="cell" data-label="Took">
                  {call.duration_ms < 10 ? call.duration_ms.toFixed(1) : Math.round(call.duration_ms)} ms
                </td>
                <td role="cell" data-label="Who">
                  {who(call)}
                  <br />
                  <small>{call.client}</small>
                </td>
                <td role="cell" data-label="Arguments">
                  <Arguments value={call.arguments} />
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      )}
      {found !== null && found.total > workspaces.PER_PAGE && (
        <nav class="pages" aria-label="Pages of calls">
          {wanted.page > 1 && <a href={address({ page: wanted.page - 1 })}>Newer</a>}
          <span>
            Page {wanted.page} of {Math.ceil(found.total / workspaces.PER_PAGE)}, {found.total} calls
          </span>
          {wanted.page * workspaces.PER_PAGE < found.total && <a href={address({ page: wanted.page + 1 })}>Older</a>}
        </nav>
      )}
    </section>
  );
}

function Arguments({ value }: { value: unknown }): JSX.Element | null {
  if (value === null) return null;
  if (typeof value === "string" && value.startsWith("sha256:")) {
    return (
      <code title={`${value}: a digest, by which the same arguments are known again`}>{value.slice(7, 19)}…</code>
    );
  }
  const text = JSON.stringify(value);
  if (text.length <= 60) return <code>{text}</code>;
  return (
    <details>
      <summary>
        <code>{text.slice(0, 50)}…</code>
      </summary>
      <pre class="box">{JSON.stringify(value, null, 2)}</pre>
    </details>
  );
}

/** The names of one's keys by their numbers, as far as one may see them. */
function useKeys(user: number): Record<number, string> {
  const [keys, setKeys] = useState<Record<number, string>>({});
  useEffect(() => {
    let gone = false;
    api
      .get<{ data: { api_keys: { id: number; name: string }[] } }>(`/api/v1/api-keys?per_page=100&user_id=${user}`)
      .then(({ data }) => !gone && setKeys(Object.fromEntries(data.api_keys.map(({ id, name }) => [id, name]))))
      .catch(() => undefined);
    return () => {
      gone = true;
    };
  }, [user]);
  return keys;
}
