// The MCP servers of a workspace: how each is, and the ways to add, change, switch off and remove them.
import type { JSX } from "preact";
import { useRef, useState } from "preact/hooks";
import { Confirm, Problem, useTask } from "../forms";
import type { PartProps } from "./one";
import { ServerForm } from "./server-form";
import * as workspaces from "./workspaces";

export function Servers(props: PartProps): JSX.Element {
  const { mount, workspace, user, refresh, changed } = props;
  const task = useTask(refresh);
  const [edited, setEdited] = useState<workspaces.Upstream | "new" | null>(null);
  const heading = useRef<HTMLHeadingElement>(null);
  const mayManage = user.permissions.includes(workspaces.MAY.manage);
  const servers = workspace.upstreams;

  const restart = () =>
    task.run(async () => {
      await workspaces.restart(mount, workspace.id);
      await changed("Restarted: its servers have ended, and start anew when they are used.");
    });
  const turn = (server: workspaces.Upstream) =>
    task.run(async () => {
      await workspaces.changeUpstream(mount, workspace.id, server.id, { enabled: !server.enabled });
      await changed(`${server.name} is ${server.enabled ? "off" : "on"} now.`);
    });
  const remove = (server: workspaces.Upstream) =>
    task.run(async () => {
      await workspaces.removeUpstream(mount, workspace.id, server.id);
      await changed(`Removed: ${server.name}.`);
      heading.current?.focus();
    });
  return (
    <section class="part" aria-labelledby="servers-heading">
      <div class="heading">
        <h2 id="servers-heading" tabIndex={-1} ref={heading}>
          Servers
        </h2>
        {mayManage && (
          <>
            <button type="button" aria-haspopup="dialog" onClick={() => setEdited("new")}>
              Add a server
            </button>
            <button type="button" class="quiet" disabled={task.busy} onClick={() => void restart()}>
              Restart all
            </button>
          </>
        )}
      </div>
      <Problem text={task.problem} />
      {servers.length === 0 ? (
        <p class="empty">Nothing is behind this workspace, so it has no tools. {mayManage && "Add a server with the button above."}</p>
      ) : (
        <ul class="rows">
          {servers.map((server) => (
            <li class="item" key={server.id}>
              <div>
                <strong class="name">{server.name}</strong>
                <span class={`mark ${workspaces.stateClass(server)}`}>{workspaces.stateText(server)}</span>
                <p>
                  {workspaces.KINDS[server.kind]}
                  {server.server !== null && `; ${server.server}`}
                  {server.speaks !== null && `, MCP ${server.speaks}`}
                </p>
                {(server.url !== "" || server.command.length > 0) && <p class="path">{server.url || server.command.join(" ")}</p>}
                {server.prefix !== "" && (
                  <p>
                    Its tools begin with <code>{server.prefix}</code>
                  </p>
                )}
                {server.error !== null && server.enabled && <p class="problem">{server.error}</p>}
              </div>
              {mayManage && (
                <div class="choice">
                  <button type="button" class="quiet" disabled={task.busy} onClick={() => void turn(server)}>
                    Switch {server.enabled ? "off" : "on"}
                    <span class="unseen"> {server.name}</span>
                  </button>
                  <button type="button" class="quiet" aria-haspopup="dialog" onClick={() => setEdited(server)}>
                    Change<span class="unseen"> {server.name}</span>
                  </button>
                  <Confirm
                    label="Remove"
                    about={server.name}
                    question={server.kind === "provided" ? "Remove its tools? The workspace's files stay." : "Remove it, with its secrets?"}
                    yes="Remove it"
                    busy={task.busy}
                    act={() => void remove(server)}
                  />
                </div>
              )}
            </li>
          ))}
        </ul>
      )}
      {edited !== null && <ServerForm {...props} server={edited === "new" ? null : edited} onClose={() => setEdited(null)} />}
    </section>
  );
}
