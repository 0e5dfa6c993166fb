// The address of a workspace, and what each client is configured with.
import type { JSX } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import * as api from "../api";
import { Secret } from "../account/keys";
import { Problem, useTask, words } from "../forms";
import { ACCOUNT } from "../places";
import { Copy } from "../copy";
import type { PartProps } from "./one";
import * as workspaces from "./workspaces";

/** The client, its name, and the file that it reads. */
const CLIENTS: [string, string, string][] = [
  ["vscode", "VS Code", ".vscode/mcp.json"],
  ["claude", "Claude Code", ".mcp.json"],
  ["claude-desktop", "Claude Desktop", "claude_desktop_config.json"],
  ["cursor", "Cursor", ".cursor/mcp.json"],
  ["opencode", "OpenCode 1", "opencode.json"],
  ["opencode2", "OpenCode 2", "opencode.json"],
  ["generic", "Others", "what most other clients read"],
];
const PLACE: Record<string, string> = {
  vscode: "VS Code asks for the API key and keeps it.",
  "claude-desktop": "Put the API key in the place of <API key>.",
  generic: "Put the API key in the place of <API key>.",
};
const VARIABLE = "The API key is read from the environment variable MOORAGE_API_KEY.";

export function Connect(props: PartProps): JSX.Element {
  const { workspace, user } = props;
  return (
    <>
      <section class="part" aria-labelledby="address">
        <h2 id="address">Address</h2>
        <div class="address">
          <code>{workspace.endpoint_url}</code>
          <Copy text={workspace.endpoint_url} about="the address">
            Copy
          </Copy>
        </div>
        <p class="hint">MCP over Streamable HTTP. A client shows an API key, or logs in by OAuth in the browser.</p>
      </section>
      <Configuration {...props} />
      {user.permissions.includes(workspaces.MAY.key) && <Key {...props} />}
    </>
  );
}

function Configuration({ mount, workspace }: PartProps): JSX.Element {
  const [client, setClient] = useState("vscode");
  const [auth, setAuth] = useState("key");
  const [text, setText] = useState("");
  const [problem, setProblem] = useState<string | null>(null);
  const tabs = useRef<HTMLDivElement>(null);
  useEffect(() => {
    let gone = false;
    workspaces.configuration(mount, workspace.id, client, auth).then(
      (found) => {
        if (gone) return;
        setText(found);
        setProblem(null);
      },
      (error) => !gone && setProblem(words(error)),
    );
    return () => {
      gone = true;
    };
  }, [mount, workspace.id, workspace.name, client, auth]);
  const move = (event: KeyboardEvent) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (step === undefined) return;
    event.preventDefault();
    const at = (CLIENTS.findIndex(([name]) => name === client) + step + CLIENTS.length) % CLIENTS.length;
    setClient(CLIENTS[at]?.[0] ?? client);
    tabs.current?.querySelectorAll("button")[at]?.focus();
  };
  const file = CLIENTS.find(([name]) => name === client)?.[2] ?? "";
  return (
    <section class="part" aria-labelledby="configuration">
      <h2 id="configuration">Configuration of a client</h2>
      <div class="tablist" role="tablist" aria-labelledby="configuration" ref={tabs} onKeyDown={move}>
        {CLIENTS.map(([name, label]) => (
          <button
            key={name}
            type="button"
            role="tab"
            id={`client-${name}`}
            class="quiet"
            aria-selected={client === name}
            aria-controls="client-text"
            tabIndex={client === name ? 0 : -1}
            onClick={() => setClient(name)}
          >
            {label}
          </button>
        ))}
      </div>
      <fieldset class="choice plain">
        <legend class="unseen">How it is let in</legend>
        {[
          ["key", "By an API key"],
          ["oauth", "By OAuth: it asks you in the browser"],
        ].map(([value = "", label]) => (
          <label class="pick" key={value}>
            <input type="radio" name="auth" value={value} checked={auth === value} onChange={() => setAuth(value)} />
            {label}
          </label>
        ))}
      </fieldset>
      <div role="tabpanel" id="client-text" aria-labelledby={`client-${client}`} class="snippet">
        <div class="head">
          <span class="path">{file}</span>
          <Copy text={text} about="the configuration">
            Copy
          </Copy>
        </div>
        <pre class="box" tabIndex={0} aria-label={`Configuration for ${file}`}>
          {text}
        </pre>
        <p class="hint">{auth === "oauth" ? "Nothing secret is in it." : `${PLACE[client] ?? VARIABLE} No key is in it, so the file can be shared.`}</p>
      </div>
      <Problem text={problem} />
    </section>
  );
}

function Key({ workspace, refresh }: PartProps): JSX.Element {
  const task = useTask(refresh);
  const [fresh, setFresh] = useState<{ name: string; secret: string } | null>(null);
  const button = useRef<HTMLButtonElement>(null);
  const make = () =>
    task.run(async () => {
      const name = `MCP ${workspace.name}`.slice(0, 128);
      const made = await api.post<{ data: { api_key: string } }>("/api/v1/api-keys", { name, scopes: [workspaces.MAY.use] });
      setFresh({ name, secret: made.data.api_key });
    });
  const hide = () => {
    setFresh(null);
    button.current?.focus();
  };
  return (
    <section class="part" aria-labelledby="key">
      <h2 id="key">An API key for it</h2>
      <p class="hint">
        Whoever has it may use tools, prompts and resources of your workspaces and do nothing else. It is ended on{" "}
        <a href={ACCOUNT}>your account page</a>, without touching other keys.
      </p>
      <div>
        <button type="button" class="quiet" ref={button} disabled={task.busy} onClick={() => void make()}>
          Make an API key
        </button>
      </div>
      <Problem text={task.problem} />
      {fresh !== null && <Secret key={fresh.secret} {...fresh} hide={hide} />}
    </section>
  );
}
