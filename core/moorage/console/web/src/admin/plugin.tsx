// One plugin: how it is and what to do, its settings and where they come from, its permissions, and the switch.
import type { ComponentChildren, JSX } from "preact";
import { useState } from "preact/hooks";
import type { PageProps } from "../app";
import { useTask, useTitle } from "../forms";
import { ADMIN, MAY, may } from "../places";
import { usePolled } from "../polled";
import { go, useQuery } from "../router";
import { Trouble } from "../shell/trouble";
import { Name, Parted } from "./name";
import { Part } from "./part";
import { Mark } from "./plugins";
import { type Detail, held, mend, pageOf, type Permission, read, reload, type Report, type Setting, turn, unwell, valueText } from "./pluginstates";
import { Reload, Told, TurnOff, TurnOn, useOpen } from "./switch";
import { Table } from "./table";
import "../home/home.css";
import "./system.css";

/** Milliseconds. */
const ASK_EVERY = 5_000;

type OneProps = PageProps & { id: string };

export default function PluginPage({ id, state, refresh }: OneProps): JSX.Element {
  useTitle(`Plugin ${id}`);
  const { found, problem, missing, again } = usePolled(() => read(id), ASK_EVERY, refresh, id);
  const [report, setReport] = useState<Report | null>(null);
  const task = useTask(refresh);
  const [open, ask, close] = useOpen<"on" | "off" | "reload">(task);
  const act = async (change: () => Promise<Report>) => {
    const went = await task.run(async () => {
      const told = await change();
      close();
      setReport(told);
    });
    // The navigation follows: a place of the plugin is there, or gone. This page is the core's, and stays.
    if (went) await Promise.all([again(), refresh()]);
  };
  if (found === null && missing) return <Missing id={id} />;
  return (
    <main class="system">
      <div class="heading">
        <h1>
          <span class="hint">Plugin</span> {id}
        </h1>
        {found !== null && <Mark plugin={found} />}
        <a href={ADMIN.plugins}>All plugins</a>
      </div>
      {problem !== null && <Trouble text={missing ? gone(id) : problem} retry={again} />}
      {report !== null && <Told report={report} />}
      {found === null ? (
        problem === null && <p class="loading">Loading…</p>
      ) : (
        <>
          <Condition plugin={found}>
            {may(state, MAY.managePlugins) && (
              <div class="choice">
                {found.enabled ? (
                  <button type="button" class="danger" onClick={() => ask("off")}>
                    Switch off
                  </button>
                ) : (
                  <button type="button" onClick={() => ask("on")}>
                    Switch on
                  </button>
                )}
                {unwell(found) && (
                  <button type="button" class="quiet" onClick={() => ask("reload")}>
                    Reload the configuration
                  </button>
                )}
              </div>
            )}
          </Condition>
          <Settings settings={found.settings} name={id} />
          <Permissions permissions={found.permissions} />
          {open === "off" && <TurnOff plugin={found} task={task} act={() => void act(() => turn(id, false))} onClose={close} />}
          {open === "on" && <TurnOn plugin={found} task={task} act={() => void act(() => turn(id, true))} onClose={close} />}
          {open === "reload" && <Reload task={task} act={() => void act(reload)} onClose={close} />}
        </>
      )}
    </main>
  );
}

const gone = (name: string): string =>
  `The server does not know a plugin ${name} at this address any more. If the address was the plugin's own, open the console at another one.`;

const Missing = ({ id }: { id: string }): JSX.Element => (
  <main class="narrow">
    <h1>There is no plugin {id}</h1>
    <p>
      None of this name is installed or configured. <a href={ADMIN.plugins}>See those that are</a>.
    </p>
  </main>
);

/** How it is, why, and what to do about it. */
function Condition({ plugin, children }: { plugin: Detail; children: ComponentChildren }): JSX.Element {
  const advice = mend(plugin);
  const facts: [string, ComponentChildren][] = [
    ["Version", plugin.version && `${plugin.version}, of the package ${plugin.distribution}`],
    ["Served at", plugin.enabled && <span class="code-like">{plugin.mounts.join(", ")}</span>],
    ["Open now", plugin.enabled && (plugin.in_use.connections === 0 ? "nothing" : held(plugin.in_use))],
    ["Health", plugin.health && (plugin.health.status === "ok" ? "well" : plugin.health.status)],
    ["Needs", plugin.requires.length > 0 && <Names names={plugin.requires} />],
    ["Needed by", plugin.needed_by.length > 0 && <Names names={plugin.needed_by} />],
    ["Required", plugin.required && "yes: the server does not start without it"],
  ];
  return (
    <Part title="State">
      {plugin.summary && <p>{plugin.summary}</p>}
      {!plugin.enabled && <p>It is off, so nobody sees anything of it. What it has stored is kept.</p>}
      {plugin.reason && <p class={unwell(plugin) ? "warning" : "notice"}>{plugin.reason}</p>}
      {unwell(plugin) && advice !== null && <p>{advice}</p>}
      <dl class="facts">
        {facts.map(([name, value]) => value && [<dt key={name}>{name}</dt>, <dd key={`${name}:`}>{value}</dd>])}
      </dl>
      {children}
    </Part>
  );
}

const Names = ({ names }: { names: string[] }): JSX.Element => (
  <>
    {names.map((name, place) => (
      <>
        {place > 0 && ", "}
        <a href={pageOf(name)}>{name}</a>
      </>
    ))}
  </>
);

function Settings({ settings, name }: { settings: Setting[]; name: string }): JSX.Element {
  const query = useQuery();
  const words = (query.get("q") ?? "").toLowerCase();
  const given = query.get("set") === "yes";
  const show = (more: Record<string, string | null>) => {
    const next = new URLSearchParams(query);
    for (const [key, value] of Object.entries(more)) {
      if (value) next.set(key, value);
      else next.delete(key);
    }
    go(`${pageOf(name)}${next.size === 0 ? "" : `?${next}`}`, true);
  };
  if (settings.length === 0) {
    return (
      <Part title="Settings">
        <p class="empty">
          Nobody has set anything. What can be set is shown as soon as the plugin runs; the file's section is <code>[plugins.{name}]</code>.
        </p>
      </Part>
    );
  }
  const shown = settings.filter(
    (one) => !(given && one.source === "default") && `${one.key} ${one.description}`.toLowerCase().includes(words),
  );
  const rows = shown.map((one) => ({
    key: one.key,
    cells: [
      <Name text={one.key} />,
      one.secret ? <span title="A secret is not shown">{valueText(one.value)} (secret)</span> : <Value value={one.value} />,
      one.source === "default" ? <span class="hint">default</span> : <span class="code-like"><Parted text={one.source} /></span>,
      one.description,
    ],
  }));
  return (
    <Part title="Settings">
      <p class="hint">
        They are changed in the configuration file, in the section <code>[plugins.{name}]</code>, and hold after a reload.
      </p>
      <div class="filters">
        <label>
          Find a setting
          <input type="search" value={query.get("q") ?? ""} onInput={(event) => show({ q: event.currentTarget.value })} />
        </label>
        <label class="tick">
          <input type="checkbox" checked={given} onChange={(event) => show({ set: event.currentTarget.checked ? "yes" : null })} />
          Only what somebody has set
        </label>
      </div>
      {rows.length === 0 ? (
        <p class="empty">No setting is like this.</p>
      ) : (
        <Table label="Settings" columns={["Key", "Value", "Set by", "What it is for"]} rows={rows} />
      )}
    </Part>
  );
}

const Value = ({ value }: { value: unknown }): JSX.Element =>
  value === null || value === "" ? <span class="hint">{valueText(value)}</span> : <span class="code-like">{valueText(value)}</span>;

function Permissions({ permissions }: { permissions: Permission[] }): JSX.Element | null {
  if (permissions.length === 0) return null;
  const rows = permissions.map((one) => ({
    key: one.name,
    cells: [<Name text={one.name} />, one.summary, `from ${one.role} on`, one.any_role === null ? "" : `from ${one.any_role} on`],
  }));
  return (
    <Part title="Permissions">
      <p class="hint">
        Who holds them unless the configuration says otherwise. <a href={ADMIN.roles}>What each role holds</a>
      </p>
      <Table label="Permissions" columns={["Permission", "What it allows", "Held", "For everybody's things"]} rows={rows} />
    </Part>
  );
}
