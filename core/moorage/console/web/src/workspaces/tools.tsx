// The tools of a workspace: searched, described, tried.
import type { JSX } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { useTask } from "../forms";
import { useListKeys } from "../listkeys";
import { useQuery } from "../router";
import { Trouble } from "../shell/trouble";
import type { PartProps } from "./one";
import { Try } from "./try";
import * as workspaces from "./workspaces";

const matches = (tool: workspaces.Tool, wanted: string): boolean =>
  wanted
    .toLowerCase()
    .split(/\s+/)
    .every((word) => `${tool.name} ${titleOf(tool)} ${tool.description} ${tool.upstream}`.toLowerCase().includes(word));

const titleOf = (tool: workspaces.Tool): string => tool.title ?? tool.annotations?.title ?? "";

export function Tools({ mount, workspace, refresh }: PartProps): JSX.Element {
  const [tools, setTools] = useState<workspaces.Tool[] | null>(null);
  const [wanted, setWanted] = useState("");
  const task = useTask(refresh);
  const list = useRef<HTMLUListElement>(null);
  const search = useRef<HTMLInputElement>(null);
  const chosen = useQuery().get("tool");
  const load = async () => {
    await task.run(async () => setTools(await workspaces.tools(mount, workspace.id)));
  };
  // They may be others when its servers or rules were changed.
  useEffect(() => void load(), [mount, workspace.id, workspace.updated_at]);
  useListKeys(list, { "/": () => search.current?.focus() });
  const tool = tools?.find(({ name }) => name === chosen);
  if (tool !== undefined) return <One key={tool.name} mount={mount} workspace={workspace} tool={tool} refresh={refresh} />;
  const shown = tools?.filter((one) => matches(one, wanted.trim())) ?? [];
  return (
    <section class="part" aria-labelledby="tools-heading">
      <div class="heading">
        <h2 id="tools-heading">Tools{tools !== null && ` (${tools.length})`}</h2>
        <input
          ref={search}
          type="search"
          aria-label="Search tools"
          aria-keyshortcuts="/"
          placeholder="Search"
          value={wanted}
          autocomplete="off"
          spellcheck={false}
          onInput={(event) => setWanted(event.currentTarget.value)}
        />
      </div>
      {task.problem !== null && <Trouble text={task.problem} retry={load} />}
      {tools !== null && chosen !== null && <p class="problem">There is no tool {chosen} (any more).</p>}
      {tools === null ? (
        task.problem === null && <p class="loading">Starting its servers, and asking for their tools…</p>
      ) : tools.length === 0 ? (
        <p class="empty">
          There are no tools: its servers are off, have none, or rules leave none. See <a href={workspaces.pageOf(workspace.id, "servers")}>its servers</a>.
        </p>
      ) : shown.length === 0 ? (
        <p class="empty">No tool matches “{wanted}”.</p>
      ) : (
        <ul class="rows" ref={list}>
          {shown.map((one) => (
            <li class="item" key={one.name}>
              <div>
                <a class="name card" href={`${workspaces.pageOf(workspace.id, "tools")}?${new URLSearchParams({ tool: one.name })}`}>
                  {one.name}
                </a>
                <Marks tool={one} />
                <p class="short">{one.description.split("\n")[0]}</p>
              </div>
              <span class="hint">{one.upstream}</span>
            </li>
          ))}
        </ul>
      )}
    </section>
  );
}

function Marks({ tool }: { tool: workspaces.Tool }): JSX.Element {
  const { readOnlyHint, destructiveHint, idempotentHint, openWorldHint } = tool.annotations ?? {};
  return (
    <>
      {readOnlyHint === true && <span class="mark running">read only</span>}
      {readOnlyHint !== true && destructiveHint === true && <span class="mark failed">destructive</span>}
      {readOnlyHint !== true && idempotentHint === true && <span class="mark">safe to repeat</span>}
      {openWorldHint === true && <span class="mark">reaches outside</span>}
    </>
  );
}

interface OneProps {
  mount: string;
  workspace: workspaces.Details;
  tool: workspaces.Tool;
  refresh: () => Promise<void>;
}

function One({ mount, workspace, tool, refresh }: OneProps): JSX.Element {
  const heading = useRef<HTMLHeadingElement>(null);
  useEffect(() => heading.current?.focus(), []);
  const title = titleOf(tool);
  return (
    <section class="part" aria-labelledby="tool-heading">
      <p>
        <a href={workspaces.pageOf(workspace.id, "tools")}>All tools</a>
      </p>
      <h2 id="tool-heading" tabIndex={-1} ref={heading}>
        {tool.name}
      </h2>
      <p>
        {title !== "" && `${title}, of `}
        {title === "" && "Of "}
        the server {tool.upstream}
        <Marks tool={tool} />
      </p>
      {tool.description !== "" && <p class="description">{tool.description}</p>}
      <Try mount={mount} workspace={workspace.id} tool={tool} refresh={refresh} />
      <details>
        <summary>Schema</summary>
        <pre class="box" tabIndex={0} aria-label="Schema of its parameters">
          {JSON.stringify(tool.inputSchema ?? {}, null, 2)}
        </pre>
        {tool.outputSchema !== undefined && (
          <>
            <h3>What it gives</h3>
            <pre class="box" tabIndex={0} aria-label="Schema of its result">
              {JSON.stringify(tool.outputSchema, null, 2)}
            </pre>
          </>
        )}
      </details>
    </section>
  );
}
