// All of one's workspaces: how each is, what is behind it, and those that were deleted and can be had back.
import type { JSX } from "preact";
import { flushSync } from "preact/compat";
import { useEffect, useRef, useState } from "preact/hooks";
import { ApiError } from "../api";
import type { PageProps } from "../app";
import { useBegin } from "../begin";
import { Problem, Said, useTask, useTitle } from "../forms";
import { useListKeys } from "../listkeys";
import { usePolled } from "../polled";
import { go, useQuery } from "../router";
import { ago, full } from "../time";
import { Copy } from "../copy";
import { Trouble } from "../shell/trouble";
import { Naming } from "./new";
import * as workspaces from "./workspaces";
import "../list.css";
import "../recordings/recordings.css";
import "../sessions/sessions.css";
import "./workspaces.css";

export default function WorkspacesPage({ state, refresh }: PageProps): JSX.Element {
  useTitle("Workspaces");
  const mount = workspaces.mountOf(state);
  return (
    <main class="sessions workspaces">
      {mount === null ? (
        <>
          <h1>Workspaces</h1>
          <p class="empty">
            No MCP workspaces are served at this address. Whoever runs this server switches them on with <code>moorage plugins enable mcp</code>.
          </p>
        </>
      ) : (
        <List mount={mount} state={state} refresh={refresh} />
      )}
    </main>
  );
}

interface Found {
  list: workspaces.Workspace[];
  deleted: workspaces.Workspace[];
}

async function load(mount: string, user: number): Promise<Found> {
  const [list, deleted] = await Promise.all([workspaces.list(mount, user), workspaces.list(mount, user, "deleted")]);
  return { list, deleted };
}

function List({ mount, state, refresh }: PageProps & { mount: string }): JSX.Element {
  const { found, problem, again } = usePolled(() => load(mount, state.user.number), workspaces.ASK_EVERY, refresh, `${mount} ${state.user.number}`);
  const [making, setMaking] = useState(false);
  const [renaming, setRenaming] = useState<workspaces.Workspace | null>(null);
  const [said, setSaid] = useState<string | null>(null);
  const task = useTask(refresh);
  const list = useRef<HTMLUListElement>(null);
  const heading = useRef<HTMLHeadingElement>(null);
  const gone = Number(useQuery().get("deleted"));
  const may = (permission: string) => state.user.permissions.includes(permission);
  const mayCreate = may(workspaces.MAY.create);
  useBegin(mayCreate, () => setMaking(true));
  useListKeys(list, mayCreate ? { n: () => flushSync(() => setMaking(true)) } : {});

  const restored = async (name: string) => {
    setSaid(`Restored: ${name}, with its files, servers and calls.`);
    if (gone > 0) go(workspaces.LIST, true);
    await again();
    heading.current?.focus();
  };
  const restore = (workspace: workspaces.Workspace) =>
    task.run(async () => {
      try {
        await workspaces.restore(mount, workspace.id);
        await restored(workspace.name);
      } catch (error) {
        // Its name has been taken since: another is asked for.
        if (!(error instanceof ApiError && /exists/.test(error.message))) throw error;
        setRenaming(workspace);
      }
    });
  const taken = found?.list.map(({ name }) => name) ?? [];
  const last = found?.deleted.find(({ id }) => id === gone);
  return (
    <>
      <div class="heading">
        <h1 ref={heading} tabIndex={-1}>
          Workspaces
        </h1>
        {mayCreate && (
          <button type="button" aria-haspopup="dialog" aria-keyshortcuts="n" onClick={() => setMaking(true)}>
            New workspace
          </button>
        )}
      </div>
      {problem !== null && <Trouble text={problem} retry={again} />}
      <Problem text={task.problem} />
      <Said>{said}</Said>
      {last !== undefined && (
        <div class="notice undo" role="status">
          <span>Deleted: {last.name}.</span>
          <button type="button" class="quiet" disabled={task.busy} onClick={() => void restore(last)}>
            Undo
          </button>
        </div>
      )}
      {found === null ? (
        problem === null && <p class="loading">Loading…</p>
      ) : found.list.length === 0 ? (
        <Nothing mayCreate={mayCreate} />
      ) : (
        <ul class="rows" ref={list}>
          {found.list.map((workspace) => (
            <Row key={workspace.id} mount={mount} workspace={workspace} mayUse={may(workspaces.MAY.use)} />
          ))}
        </ul>
      )}
      {found !== null && found.deleted.length > 0 && (
        <details class="deleted">
          <summary>Deleted ones ({found.deleted.length})</summary>
          <ul class="rows">
            {found.deleted.map((workspace) => (
              <li class="item" key={workspace.id}>
                <div>
                  <strong>{workspace.name}</strong>
                  <p>
                    Deleted <Time at={workspace.deleted_at} />, gone for good <Time at={workspace.purge_after} />
                  </p>
                </div>
                {may(workspaces.MAY.delete) && (
                  <button type="button" class="quiet" disabled={task.busy} onClick={() => void restore(workspace)}>
                    Restore<span class="unseen"> {workspace.name}</span>
                  </button>
                )}
              </li>
            ))}
          </ul>
        </details>
      )}
      {making && (
        <Naming
          title="New workspace"
          hint="It is part of the address that MCP clients use: letters, digits, hyphens, dots and underscores."
          button="Make it"
          taken={taken}
          refresh={refresh}
          onClose={() => setMaking(false)}
          onName={async (name) => go(workspaces.pageOf((await workspaces.create(mount, name)).id))}
        />
      )}
      {renaming !== null && (
        <Naming
          title={`Restore ${renaming.name}`}
          hint="You have another workspace of its old name by now. Give it a new one."
          button="Restore"
          value={renaming.name}
          taken={taken}
          refresh={refresh}
          onClose={() => setRenaming(null)}
          onName={async (name) => {
            await workspaces.restore(mount, renaming.id, name);
            setRenaming(null);
            await restored(name);
          }}
        />
      )}
    </>
  );
}

const Time = ({ at }: { at: string | null }): JSX.Element | null => (at === null ? null : <time title={full(at)}>{ago(at)}</time>);

function Nothing({ mayCreate }: { mayCreate: boolean }): JSX.Element {
  return (
    <div class="empty">
      <p>
        You have no workspaces. A workspace is an address for MCP clients (editors, assistants, agents), with tools for files and git
        in a folder of its own from the start, and MCP servers of your choice beside them.
      </p>
      <p>
        {mayCreate
          ? "Make one with the button above or the key N; then copy the configuration for your client."
          : "Your role may not make one. Ask an administrator for the right."}
      </p>
    </div>
  );
}

function Row({ mount, workspace, mayUse }: { mount: string; workspace: workspaces.Workspace; mayUse: boolean }): JSX.Element {
  const inside = useInside(mount, workspace, mayUse);
  const status = workspace.status === "active" ? workspaces.containerText(workspace.container_status) : "Inactive";
  return (
    <li class="item">
      <div>
        <a class="name card" href={workspaces.pageOf(workspace.id)}>
          {workspace.name}
        </a>{" "}
        <span class={`mark ${workspace.status === "active" ? (workspace.container_status ?? "") : "failed"}`}>{status}</span>
        <p class="path">{workspace.endpoint_url}</p>
        <p>
          {inside ?? "…"}, made <Time at={workspace.created_at} />
        </p>
      </div>
      <div class="choice">
        <Copy text={workspace.endpoint_url} about={`the address of ${workspace.name}`}>
          Copy address
        </Copy>
        {mayUse && (
          <a class="button" href={workspaces.pageOf(workspace.id, "tools")}>
            Tools<span class="unseen"> of {workspace.name}</span>
          </a>
        )}
        <a class="button" href={workspaces.pageOf(workspace.id, "calls")}>
          Calls<span class="unseen"> of {workspace.name}</span>
        </a>
      </div>
    </li>
  );
}

/** "2 servers, 21 tools". Tools are counted only where that starts nothing. */
function useInside(mount: string, workspace: workspaces.Workspace, mayUse: boolean): string | null {
  const [text, setText] = useState<string | null>(null);
  useEffect(() => {
    let gone = false;
    const ask = async () => {
      const servers = await workspaces.upstreams(mount, workspace.id);
      const on = servers.filter((one) => one.enabled);
      const count = on.length === 1 ? "1 server" : `${on.length} servers`;
      const failing = on.filter(workspaces.fails).length;
      if (!gone) setText(failing > 0 ? `${count}, ${failing} failing` : count);
      if (!mayUse || workspace.status !== "active" || on.length === 0 || on.some((one) => one.state !== "up")) return;
      const tools = await workspaces.tools(mount, workspace.id);
      if (!gone) setText(`${count}, ${tools.length === 1 ? "1 tool" : `${tools.length} tools`}`);
    };
    ask().catch(() => undefined);
    return () => {
      gone = true;
    };
  }, [mount, workspace.id, workspace.updated_at, workspace.status, workspace.container_status, mayUse]);
  return text;
}
