// What the server does: its figures of the last quarter of an hour as plots and as a table, and the machine below it.
import type { JSX } from "preact";
import { useState } from "preact/hooks";
import type { PageProps } from "../app";
import { useTitle } from "../forms";
import { ADMIN } from "../places";
import { useQuery } from "../router";
import { Trouble } from "../shell/trouble";
import { busiest, bytes, clock, duration, minutes, number, percent, type Sample, useFigures } from "./history";
import { Part } from "./part";
import { Plot, type Series } from "./plot";
import { Table } from "./table";
import { Machine } from "./workloads";
import "../home/home.css";
import "../sessions/sessions.css";
import "./metrics.css";
import "./system.css";

/** Plugins that have a line of their own. */
const LINES = 4;

export default function MetricsPage({ refresh }: PageProps): JSX.Element {
  useTitle("Metrics");
  const { every, samples, problem, again } = useFigures(refresh);
  const table = useQuery().get("as") === "table";
  const views: [string, string, boolean][] = [
    ["Plots", ADMIN.metrics, !table],
    ["Table", `${ADMIN.metrics}?as=table`, table],
  ];
  return (
    <main class="system metrics">
      <div class="heading">
        <h1>Metrics</h1>
        <nav class="tabs" aria-label="How figures are shown">
          {views.map(([label, address, here]) => (
            <a key={label} href={address} aria-current={here ? "page" : undefined}>
              {label}
            </a>
          ))}
        </nav>
      </div>
      <p class="hint">This server in the last 15 minutes, in your own time. For longer times, let Prometheus read <code>/metrics</code>.</p>
      {problem !== null && <Trouble text={problem} retry={again} />}
      {samples === null && problem === null && <p class="loading">Loading…</p>}
      {samples?.length === 0 && <p class="empty">The server has just started: the first figures come within {every} seconds.</p>}
      {samples !== null && samples.length > 0 && (table ? <Minutes samples={samples} /> : <Plots samples={samples} every={every} />)}
      <Machine refresh={refresh} />
    </main>
  );
}

function Plots({ samples, every }: { samples: Sample[]; every: number }): JSX.Element {
  const [moment, setMoment] = useState<number | null>(null);
  const shared = { times: samples.map(({ at }) => Date.parse(at)), every, moment, setMoment };
  const of = (name: string, value: (sample: Sample) => number | null): Series => ({ name, values: samples.map(value) });
  const names = busiest(samples, LINES);
  const rate = (count: number) => count / every;
  const others = ({ requests, plugins }: Sample) => rate(requests - names.reduce((sum, name) => sum + (plugins[name] ?? 0), 0));
  const byPlugin = names.map((name) => of(name, ({ plugins }) => rate(plugins[name] ?? 0)));
  const errors = [
    of("refused (4xx)", (one) => rate(one.client_errors)),
    of("too many (429)", (one) => rate(one.limited)),
    of("failed (5xx)", (one) => rate(one.server_errors)),
  ];
  return (
    <div class="plots">
      <Plot {...shared} title="Requests" about="answered per second" series={[of("all", (one) => rate(one.requests))]} format={number} />
      <Plot {...shared} title="Errors" about="requests per second that were turned away, or failed" series={errors} format={number} />
      <Plot
        {...shared}
        title="Latency"
        about="until the answer begins, at most"
        series={[of("median", ({ p50 }) => p50), of("99th percentile", ({ p99 }) => p99)]}
        format={duration}
        least={0.01}
      />
      <Plot {...shared} title="Processor" about="of one core" series={[of("used", (one) => one.cpu_percent)]} format={percent} least={10} />
      <Plot {...shared} title="Memory" about="of the server's process" series={[of("held", (one) => one.rss_bytes)]} format={bytes} binary />
      <Plot
        {...shared}
        title="Connections"
        about="open sockets and streams"
        series={[of("connections", (one) => one.connections), of("users", (one) => one.users)]}
        format={number}
        least={2}
      />
      <Plot {...shared} title="Delay" about="by which the event loop is late" series={[of("delay", ({ lag }) => lag)]} format={duration} least={0.01} />
      <Plot
        {...shared}
        title="Requests by plugin"
        about="per second, the busiest ones"
        series={[...byPlugin, ...(names.length === LINES ? [of("others", others)] : [])]}
        format={number}
      />
    </div>
  );
}

function Minutes({ samples }: { samples: Sample[] }): JSX.Element {
  const known = (value: number | null, format: (value: number) => string) => (value === null ? "–" : format(value));
  const rows = minutes(samples).map((one) => ({
    key: one.at,
    cells: [
      clock(Date.parse(one.at), false),
      number(one.requests),
      number(one.client_errors),
      number(one.limited),
      number(one.server_errors),
      known(one.p50, duration),
      known(one.p99, duration),
      percent(one.cpu_percent),
      known(one.rss_bytes, bytes),
      number(one.connections),
      number(one.users),
      duration(one.lag),
    ],
  }));
  const columns = ["Minute", "Requests", "4xx", "429", "5xx", "Median", "99th percentile", "Processor", "Memory", "Connections", "Users", "Delay"];
  return (
    <Part title="By the minute">
      <p class="hint">Requests and errors are counted; of the rest, the highest of the minute is shown.</p>
      <Table label="Figures by the minute" columns={columns} rows={rows} figures={columns.map((_, place) => place).slice(1)} />
    </Part>
  );
}
