// All plugins: which run, which do not and why; and reading the configuration again.
import type { JSX } from "preact";
import { useState } from "preact/hooks";
import type { PageProps } from "../app";
import { useTask, useTitle } from "../forms";
import { ADMIN, MAY, may } from "../places";
import { usePolled } from "../polled";
import { useQuery } from "../router";
import { Trouble } from "../shell/trouble";
import { list, pageOf, type Plugin, reload, type Report, runs, STATES, unwell } from "./pluginstates";
import { Reload, Told, useOpen, Waiting } from "./switch";
import { Table } from "./table";
import "../home/home.css";
import "../sessions/sessions.css";
import "./system.css";

/** Milliseconds. */
const ASK_EVERY = 5_000;

const SHOWN: Record<string, [string, (plugin: Plugin) => boolean]> = {
  "": ["All", () => true],
  running: ["Running", runs],
  unwell: ["Not well", unwell],
  off: ["Off", (plugin) => !plugin.enabled],
};

export default function PluginsPage({ state, refresh }: PageProps): JSX.Element {
  useTitle("Plugins");
  const wanted = useQuery().get("state") ?? "";
  const shown = wanted in SHOWN ? wanted : "";
  const { found, problem, again } = usePolled(list, ASK_EVERY, refresh);
  const [report, setReport] = useState<Report | null>(null);
  const task = useTask(refresh);
  const [open, ask, close] = useOpen<"reload">(task);
  const act = async () => {
    const went = await task.run(async () => {
      const told = await reload();
      close();
      setReport(told);
    });
    if (went) await Promise.all([again(), refresh()]);
  };
  return (
    <main class="system">
      <div class="heading">
        <h1>Plugins</h1>
        {may(state, MAY.managePlugins) && (
          <button type="button" class="quiet" onClick={() => ask("reload")}>
            Reload the configuration
          </button>
        )}
      </div>
      {problem !== null && <Trouble text={problem} retry={again} />}
      {report !== null && <Told report={report} />}
      {found === null ? (
        problem === null && <p class="loading">Loading…</p>
      ) : (
        <>
          <Waiting keys={found.needs_restart} />
          <Filter plugins={found.plugins} shown={shown} />
          <Rows plugins={found.plugins.filter(SHOWN[shown]?.[1] ?? (() => true))} none={found.plugins.length === 0} />
        </>
      )}
      {open !== null && <Reload task={task} act={() => void act()} onClose={close} />}
    </main>
  );
}

function Filter({ plugins, shown }: { plugins: Plugin[]; shown: string }): JSX.Element {
  return (
    <nav class="tabs" aria-label="Plugins by state">
      {Object.entries(SHOWN).map(([name, [label, fits]]) => (
        <a key={name} href={name === "" ? ADMIN.plugins : `${ADMIN.plugins}?state=${name}`} aria-current={shown === name ? "page" : undefined}>
          {label} ({plugins.filter(fits).length})
        </a>
      ))}
    </nav>
  );
}

function Rows({ plugins, none }: { plugins: Plugin[]; none: boolean }): JSX.Element {
  if (none) {
    return (
      <p class="empty">
        No plugins are installed. Install the package of one, such as <code>moorage[tmux]</code>, and reload the configuration.
      </p>
    );
  }
  if (plugins.length === 0) return <p class="empty">There are none of these.</p>;
  const rows = plugins.map((plugin) => ({
    key: plugin.name,
    cells: [
      <a href={pageOf(plugin.name)}>{plugin.name}</a>,
      <Mark plugin={plugin} />,
      <>
        {plugin.summary && <p>{plugin.summary}</p>}
        {plugin.reason && <p class={unwell(plugin) ? "problem" : "hint"}>{plugin.reason}</p>}
      </>,
      runs(plugin) ? <span class="code-like">{plugin.mounts.join(", ")}</span> : "",
      plugin.version,
    ],
  }));
  return <Table label="Plugins" columns={["Name", "State", "What it is", "Served at", "Version"]} rows={rows} />;
}

export function Mark({ plugin }: { plugin: Plugin }): JSX.Element {
  const kind = unwell(plugin) ? "failed" : runs(plugin) ? "running" : "";
  return <span class={`mark ${kind}`}>{STATES[plugin.state]}</span>;
}
