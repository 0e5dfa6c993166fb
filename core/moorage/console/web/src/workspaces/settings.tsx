// What is set of a workspace as a whole: its name, which tools there are and how often, and its end.
import type { JSX } from "preact";
import { useState } from "preact/hooks";
import { Dialog } from "../dialog";
import { Problem, useTask } from "../forms";
import { go } from "../router";
import type { PartProps } from "./one";
import { lines, RulesFields } from "./rules";
import * as workspaces from "./workspaces";

export function Settings(props: PartProps): JSX.Element {
  const may = (permission: string) => props.user.permissions.includes(permission);
  return (
    <>
      {may(workspaces.MAY.manage) && (
        <>
          <Name {...props} />
          <Rules {...props} />
        </>
      )}
      {may(workspaces.MAY.delete) && <End {...props} />}
    </>
  );
}

function Name({ mount, workspace, refresh, changed }: PartProps): JSX.Element {
  const task = useTask(refresh);
  const [name, setName] = useState(workspace.name);
  const wrong = workspaces.nameProblem(name, []);
  const submit = (event: SubmitEvent) => {
    event.preventDefault();
    if (wrong !== null || name === workspace.name) return;
    void task.run(async () => {
      await workspaces.change(mount, workspace.id, { name });
      await changed(`It is called ${name} now, and has a new address.`);
    });
  };
  return (
    <section class="part" aria-labelledby="name-heading">
      <h2 id="name-heading">Name</h2>
      <form class="short" onSubmit={submit}>
        <label>
          Name of the workspace
          <input
            value={name}
            required
            autocomplete="off"
            autocapitalize="none"
            spellcheck={false}
            aria-invalid={wrong !== null}
            aria-describedby="rename-problem"
            onInput={(event) => setName(event.currentTarget.value)}
          />
        </label>
        <p class="hint">Its address changes with it: clients must be told the new one.</p>
        <p class="problem line" role="alert" id="rename-problem">
          {wrong ?? task.problem}
        </p>
        <div>
          <button type="submit" disabled={task.busy || wrong !== null || name === workspace.name || name === ""}>
            Rename
          </button>
        </div>
      </form>
    </section>
  );
}

const limitLines = (limits: Record<string, number>): string =>
  Object.entries(limits)
    .map(([pattern, number]) => `${pattern} ${number}`)
    .join("\n");

/** "pattern 30" in each line; a text says what is wrong. */
function limitsOf(text: string): Record<string, number> | string {
  const found: Record<string, number> = {};
  for (const line of lines(text)) {
    const [, pattern, number] = /^(.+?)\s+([0-9]+)$/.exec(line) ?? [];
    if (pattern === undefined || Number(number) < 1) return `“${line}” is no limit. Write a pattern, a blank and a number: search__* 30`;
    found[pattern] = Number(number);
  }
  return found;
}

function Rules({ mount, workspace, refresh, changed }: PartProps): JSX.Element {
  const task = useTask(refresh);
  const submit = (event: SubmitEvent) => {
    event.preventDefault();
    const form = new FormData(event.currentTarget as HTMLFormElement);
    const limits = limitsOf(String(form.get("limits")));
    if (typeof limits === "string") return task.setProblem(limits);
    const rules = { allow: lines(String(form.get("allow"))), deny: lines(String(form.get("deny"))) };
    void task.run(async () => {
      await workspaces.change(mount, workspace.id, { tool_rules: rules, call_limits: limits });
      await changed("Saved. It counts at once.");
    });
    return undefined;
  };
  return (
    <section class="part" aria-labelledby="rules-heading">
      <h2 id="rules-heading">Which tools, and how often</h2>
      <form class="short" onSubmit={submit}>
        <RulesFields rules={workspace.tool_rules} />
        <label>
          Calls per minute
          <textarea name="limits" rows={2} defaultValue={limitLines(workspace.call_limits)} spellcheck={false} placeholder="search__* 30" />
        </label>
        <p class="hint">A pattern and a number in each line. Nothing: only the server's own limit.</p>
        <Problem text={task.problem} />
        <div>
          <button type="submit" disabled={task.busy}>
            Save
          </button>
        </div>
      </form>
    </section>
  );
}

function End({ mount, workspace, refresh }: PartProps): JSX.Element {
  const [asking, setAsking] = useState(false);
  const [typed, setTyped] = useState("");
  const task = useTask(refresh);
  const close = () => {
    setAsking(false);
    setTyped("");
    task.setProblem(null);
  };
  const submit = (event: SubmitEvent) => {
    event.preventDefault();
    if (typed !== workspace.name) return;
    void task.run(async () => {
      await workspaces.remove(mount, workspace.id);
      go(`${workspaces.LIST}?deleted=${workspace.id}`);
    });
  };
  return (
    <section class="part" aria-labelledby="end-heading">
      <h2 id="end-heading">Delete it</h2>
      <p class="hint">Its servers stop, and its name is free. For a while it can be restored with its files, servers and calls.</p>
      <div>
        <button type="button" class="quiet" aria-haspopup="dialog" onClick={() => setAsking(true)}>
          Delete this workspace…
        </button>
      </div>
      {asking && (
        <Dialog title={`Delete ${workspace.name}?`} onClose={close}>
          <form onSubmit={submit}>
            <label>
              Type its name, {workspace.name}
              <input value={typed} autocomplete="off" autocapitalize="none" spellcheck={false} autofocus onInput={(event) => setTyped(event.currentTarget.value)} />
            </label>
            <Problem text={task.problem} />
            <div class="choice">
              <button type="submit" class="danger" disabled={task.busy || typed !== workspace.name}>
                Delete it
              </button>
              <button type="button" class="quiet" onClick={close}>
                Keep
              </button>
            </div>
          </form>
        </Dialog>
      )}
    </section>
  );
}
