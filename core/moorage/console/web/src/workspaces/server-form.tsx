// A server of a workspace: added, or changed. Secrets that are there are kept without being told.
import type { JSX } from "preact";
import { useState } from "preact/hooks";
import { Dialog } from "../dialog";
import { Problem, useTask } from "../forms";
import type { PartProps } from "./one";
import { given, lines, Pairs, pairsOf, RulesFields } from "./rules";
import * as workspaces from "./workspaces";

interface FormProps extends PartProps {
  /** Null: a new one. */
  server: workspaces.Upstream | null;
  onClose: () => void;
}

const plain = { autocomplete: "off", autocapitalize: "none", spellcheck: false } as const;

/** An object in JSON, {} for nothing; a text says what is wrong. */
function objectOf(text: string, about: string): Record<string, unknown> | string {
  if (text.trim() === "") return {};
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value === "object" && value !== null && !Array.isArray(value)) return value as Record<string, unknown>;
  } catch {
    // Told below.
  }
  return `${about}: this is no JSON object, as {"path": "."} is one.`;
}

const written = (value: Record<string, unknown>): string => (Object.keys(value).length === 0 ? "" : JSON.stringify(value, null, 2));

export function ServerForm({ mount, workspace, user, refresh, changed, server, onClose }: FormProps): JSX.Element {
  const may = (permission: string) => user.permissions.includes(permission);
  const kinds = (Object.keys(workspaces.KINDS) as workspaces.Kind[]).filter(
    (kind) =>
      kind === server?.kind ||
      (kind === "provided" ? !workspace.upstreams.some((one) => one.kind === "provided") : kind !== "stdio" || may(workspaces.MAY.command)),
  );
  const [kind, setKind] = useState<workspaces.Kind>(server?.kind ?? (may(workspaces.MAY.command) ? "stdio" : "http"));
  const [env, setEnv] = useState(pairsOf(server?.env ?? {}));
  const [secrets, setSecrets] = useState(pairsOf(server?.secrets ?? {}));
  const [headers, setHeaders] = useState(pairsOf(server?.headers ?? {}));
  const [own, setOwn] = useState(server !== null);
  const [era, setEra] = useState(server?.era ?? "");
  const task = useTask(refresh);
  const submit = (event: SubmitEvent) => {
    event.preventDefault();
    const form = new FormData(event.currentTarget as HTMLFormElement);
    const text = (name: string) => String(form.get(name) ?? "").trim();
    const fixed = objectOf(text("fixed"), "Arguments that are filled in");
    const annotations = objectOf(text("annotations"), "Hints about tools");
    if (typeof fixed === "string") return task.setProblem(fixed);
    if (typeof annotations === "string") return task.setProblem(annotations);
    const body: Record<string, unknown> = {
      name: text("name"),
      ...(own ? { prefix: text("prefix") } : {}),
      tools: { allow: lines(text("allow")), deny: lines(text("deny")) },
      fixed,
      annotations,
      ...(kind === "stdio" ? { command: lines(text("command")), env: given(env), secrets: given(secrets) } : {}),
      ...(kind === "http" || kind === "sse" ? { url: text("url"), headers: given(headers) } : {}),
      ...(kind === "http" ? { era: era || null } : {}),
    };
    void task.run(async () => {
      if (server === null) await workspaces.addUpstream(mount, workspace.id, { ...body, kind });
      else await workspaces.changeUpstream(mount, workspace.id, server.id, body);
      onClose();
      await changed(server === null ? `Added: ${text("name")}.` : `Changed: ${text("name")}. It counts at once.`);
    });
    return undefined;
  };
  return (
    <Dialog title={server === null ? "Add a server" : `Server ${server.name}`} kind="wide" onClose={onClose}>
      <form onSubmit={submit}>
        {server === null && (
          <label>
            What it is
            <select value={kind} onChange={(event) => setKind(event.currentTarget.value as workspaces.Kind)} autofocus>
              {kinds.map((one) => (
                <option key={one} value={one}>
                  {workspaces.KINDS[one]}
                </option>
              ))}
            </select>
          </label>
        )}
        <label>
          Name
          <input name="name" required maxLength={32} defaultValue={server?.name ?? ""} placeholder="search" {...plain} />
        </label>
        {kind === "stdio" && (
          <>
            <label>
              Program and its arguments, each in a line
              <textarea name="command" required rows={3} defaultValue={server?.command.join("\n") ?? ""} placeholder={"mcp-server-time\n--local-timezone=Europe/Berlin"} {...plain} />
            </label>
            <Pairs title="Secret variables" one="a secret" secret pairs={secrets} setPairs={setSecrets} />
            <Pairs title="Other variables" one="a variable" secret={false} pairs={env} setPairs={setEnv} />
          </>
        )}
        {(kind === "http" || kind === "sse") && (
          <>
            <label>
              Address
              <input name="url" type="url" required defaultValue={server?.url ?? ""} placeholder="https://mcp.example.org/mcp" {...plain} />
            </label>
            {!may(workspaces.MAY.remote) && <p class="hint">Your role may use addresses that whoever runs this server allows. Others are refused.</p>}
            <Pairs title="Headers" one="a header" secret pairs={headers} setPairs={setHeaders} />
          </>
        )}
        {(kind === "stdio" || kind === "http" || kind === "sse") && (
          <p class="hint">Values of {kind === "stdio" ? "secret variables" : "headers"} are encrypted and never shown again.</p>
        )}
        <details>
          <summary>Names, rules, and more</summary>
          <div class="more">
            <label class="tick">
              <input type="checkbox" checked={own} onChange={(event) => setOwn(event.currentTarget.checked)} />
              Choose what its tools' names begin with
            </label>
            {own && (
              <label>
                Beginning of its tools' names
                <input name="prefix" maxLength={40} defaultValue={server?.prefix ?? ""} placeholder="nothing" {...plain} />
              </label>
            )}
            <RulesFields rules={server?.tools ?? { allow: [], deny: [] }} />
            <label>
              Arguments that are filled in, as JSON
              <textarea name="fixed" rows={2} defaultValue={written(server?.fixed ?? {})} placeholder='{"repo_path": "."}' {...plain} />
            </label>
            <label>
              Hints about tools, as JSON
              <textarea name="annotations" rows={2} defaultValue={written(server?.annotations ?? {})} placeholder='{"delete": {"destructiveHint": true}}' {...plain} />
            </label>
            {kind === "http" && (
              <label>
                Era of the protocol
                <select value={era} onChange={(event) => setEra(event.currentTarget.value)}>
                  <option value="">Found out</option>
                  <option value="modern">2026-07-28</option>
                  <option value="legacy">2025-11-25 and before</option>
                </select>
              </label>
            )}
          </div>
        </details>
        <Problem text={task.problem} />
        <div class="choice">
          <button type="submit" disabled={task.busy}>
            {server === null ? "Add it" : "Save"}
          </button>
          <button type="button" class="quiet" onClick={onClose}>
            Cancel
          </button>
        </div>
      </form>
    </Dialog>
  );
}
