// How the parts of the server are, and plugins that do not run as they should: two sections of the overview.
import type { JSX } from "preact";
import type { State } from "../api";
import { ADMIN, MAY, may } from "../places";
import { usePolled } from "../polled";
import { Trouble } from "../shell/trouble";
import { health } from "./health";
import { list, pageOf, runs, STATES, unwell } from "./pluginstates";
import { Waiting } from "./switch";

const EVERY = 10_000;

interface Part {
  state: State;
  refresh: () => Promise<void>;
}

const WORDS = {
  healthy: ["good", "The server is well."],
  degraded: ["bad", "The server works, but a part of it is not well."],
  unhealthy: ["bad", "The server is not well: what needs it may fail."],
} as const;

export function HealthPart({ refresh }: Part): JSX.Element {
  const { found, problem, again } = usePolled(health, EVERY, refresh);
  const parts = Object.entries(found?.components ?? {});
  const ill = parts.filter(([, { status }]) => status !== "ok");
  return (
    <section aria-labelledby="health">
      <h2 id="health">Health</h2>
      {problem !== null && <Trouble text={problem} retry={again} />}
      {found === null ? (
        problem === null && <p class="loading">Loading…</p>
      ) : (
        <>
          <p role="status" class={WORDS[found.status]?.[0]}>
            {WORDS[found.status]?.[1] ?? found.status}
          </p>
          {ill.length > 0 && (
            <ul class="rows">
              {ill.map(([name, { status, detail }]) => (
                <li class="item" key={name}>
                  <div>
                    <strong>{name}</strong> <span class="mark failed">{status}</span>
                    {detail !== undefined && <p>{detail}</p>}
                  </div>
                </li>
              ))}
            </ul>
          )}
          <p class="hint">
            {parts.length > 0 && `${parts.length - ill.length} of ${parts.length} parts are well. `}Version {found.version}.
          </p>
        </>
      )}
    </section>
  );
}

export function PluginsPart({ state, refresh }: Part): JSX.Element | null {
  if (!may(state, MAY.readPlugins)) return null;
  return <Plugins state={state} refresh={refresh} />;
}

function Plugins({ refresh }: Part): JSX.Element {
  const { found, problem, again } = usePolled(list, EVERY, refresh);
  const all = found?.plugins ?? [];
  const ill = all.filter(unwell);
  const running = all.filter((plugin) => runs(plugin) && !unwell(plugin)).length;
  return (
    <section aria-labelledby="plugins">
      <h2 id="plugins">Plugins</h2>
      {problem !== null && <Trouble text={problem} retry={again} />}
      {found === null ? (
        problem === null && <p class="loading">Loading…</p>
      ) : (
        <>
          {ill.length > 0 && (
            <ul class="rows">
              {ill.map(({ name, state, reason }) => (
                <li class="item" key={name}>
                  <div>
                    <a href={pageOf(name)}>{name}</a> <span class="mark failed">{STATES[state]}</span>
                    {reason && <p>{reason}</p>}
                  </div>
                </li>
              ))}
            </ul>
          )}
          <Waiting keys={found.needs_restart} />
          <p>
            {counted(running, all.length - running - ill.length, ill.length)} <a href={ADMIN.plugins}>See them all</a>
          </p>
        </>
      )}
    </section>
  );
}

function counted(running: number, off: number, ill: number): string {
  const parts = [`${running === 1 ? "1 runs" : `${running} run`}`];
  if (ill > 0) parts.push(`${ill === 1 ? "1 is" : `${ill} are`} not well`);
  if (off > 0) parts.push(`${off === 1 ? "1 is" : `${off} are`} off`);
  return `${new Intl.ListFormat("en").format(parts)}.`;
}
