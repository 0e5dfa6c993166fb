// One workspace: its address and how clients are told of it; its servers, tools, calls and settings on pages of their own.
import type { JSX } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import type { PageProps } from "../app";
import { Said, useTitle } from "../forms";
import { usePolled } from "../polled";
import { Trouble } from "../shell/trouble";
import { Calls } from "./calls";
import { Connect } from "./connect";
import { Servers } from "./servers";
import { Settings } from "./settings";
import { Tools } from "./tools";
import * as workspaces from "./workspaces";
import "../list.css";
import "../recordings/recordings.css";
import "../sessions/sessions.css";
import "./workspaces.css";

type OneProps = PageProps & { id: string; tab: string };

/** What the parts of the page are given. */
export interface PartProps {
  mount: string;
  workspace: workspaces.Details;
  user: PageProps["state"]["user"];
  refresh: () => Promise<void>;
  /** Ask the server again how the workspace is, and say this. */
  changed: (text: string) => Promise<void>;
}

export default function WorkspacePage(props: OneProps): JSX.Element {
  const mount = workspaces.mountOf(props.state);
  const id = /^[0-9]{1,10}$/.test(props.id) ? Number(props.id) : 0;
  if (mount !== null && id > 0) return <One {...props} mount={mount} number={id} />;
  if (mount !== null) return <Missing />;
  return (
    <main>
      <p class="empty">No MCP workspaces are served at this address.</p>
    </main>
  );
}

const Missing = (): JSX.Element => (
  <main class="narrow">
    <h1>There is no such workspace</h1>
    <p>
      It was deleted, or it is somebody else's. <a href={workspaces.LIST}>Your workspaces</a>
    </p>
  </main>
);

function One({ mount, number: id, tab, state, refresh }: OneProps & { mount: string; number: number }): JSX.Element {
  const { found, problem, missing, again } = usePolled(() => workspaces.read(mount, id), workspaces.ASK_EVERY, refresh, `${mount} ${id}`);
  // Another part shows the workspace as it is now.
  const seen = useRef(tab);
  useEffect(() => {
    if (seen.current !== tab) void again();
    seen.current = tab;
  }, [tab]);
  const [said, setSaid] = useState<string | null>(null);
  useTitle(found?.name ?? "Workspace");
  if (missing || found?.status === "deleted") return <Missing />;
  if (found === null) {
    return <main>{problem === null ? <p class="loading">Loading…</p> : <Trouble text={problem} retry={again} />}</main>;
  }
  const may = (permission: string) => state.user.permissions.includes(permission);
  const tabs: [string, string, boolean][] = [
    ["", "Connect", true],
    ["servers", "Servers", true],
    ["tools", "Tools", may(workspaces.MAY.use)],
    ["calls", "Calls", true],
    ["settings", "Settings", may(workspaces.MAY.manage) || may(workspaces.MAY.delete)],
  ];
  const changed = async (text: string) => {
    setSaid(text);
    await again();
  };
  const part: PartProps = { mount, workspace: found, user: state.user, refresh, changed };
  const active = found.status === "active";
  return (
    <main class="workspace">
      <div class="heading">
        <h1>{found.name}</h1>
        <span class={`mark ${active ? (found.container_status ?? "") : "failed"}`} role="status">
          {active ? workspaces.containerText(found.container_status) : "Inactive"}
        </span>
        <nav class="tabs" aria-label="Parts of the workspace">
          {tabs.map(
            ([name, label, shown]) =>
              shown && (
                <a key={name} href={workspaces.pageOf(id, name)} aria-current={tab === name ? "page" : undefined} onClick={() => setSaid(null)}>
                  {label}
                </a>
              ),
          )}
        </nav>
      </div>
      {!active && <p class="notice">It is inactive: its owner is deactivated. Nothing of it can be used until that changes.</p>}
      {problem !== null && <Trouble text={problem} retry={again} />}
      <Said>{said}</Said>
      {tab === "servers" ? (
        <Servers {...part} />
      ) : tab === "tools" ? (
        <Tools {...part} />
      ) : tab === "calls" ? (
        <Calls {...part} />
      ) : tab === "settings" ? (
        <Settings {...part} />
      ) : (
        <Connect {...part} />
      )}
    </main>
  );
}
