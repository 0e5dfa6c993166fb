// The last minutes in small figures: a section of the overview. The page of metrics has them in large.
import type { JSX } from "preact";
import { useRef } from "preact/hooks";
import * as api from "../api";
import { ADMIN } from "../places";
import { usePolled } from "../polled";
import { Trouble } from "../shell/trouble";

const EVERY = 5_000;
/** A quarter of an hour, as the server keeps it. */
const KEPT = 180;

interface Sample {
  at: string;
  requests: number;
  client_errors: number;
  limited: number;
  server_errors: number;
  p50: number | null;
  p99: number | null;
  cpu_percent: number;
  rss_bytes: number | null;
  connections: number;
  users: number;
  lag: number;
}

interface History {
  every: number;
  samples: Sample[];
}

interface Figure {
  label: string;
  of: (sample: Sample, every: number) => number | null;
  text: (value: number) => string;
}

const whole = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const near = new Intl.NumberFormat("en", { maximumSignificantDigits: 2 });

const FIGURES: Figure[] = [
  { label: "Requests", of: ({ requests }, every) => requests / every, text: (value) => `${near.format(value)} a second` },
  { label: "Server errors", of: ({ server_errors }) => server_errors, text: (value) => `${whole.format(value)} in 5 seconds` },
  { label: "Latency (p99)", of: ({ p99 }) => p99, text: (value) => (value < 1 ? `${whole.format(value * 1000)} ms` : `${near.format(value)} s`) },
  { label: "Processor", of: ({ cpu_percent }) => cpu_percent, text: (value) => `${whole.format(value)} % of a core` },
  { label: "Memory", of: ({ rss_bytes }) => rss_bytes, text: (value) => `${whole.format(value / 1e6)} MB` },
  { label: "Connections", of: ({ connections }) => connections, text: (value) => whole.format(value) },
];

export function FiguresPart({ refresh }: { refresh: () => Promise<void> }): JSX.Element {
  const known = useRef<Sample[]>([]);
  const { found, problem, again } = usePolled(
    async () => {
      const since = known.current.at(-1)?.at ?? "";
      const { every, samples } = await api.get<History>(`/api/core/metrics/history?${new URLSearchParams({ since })}`);
      // Two answers may have been asked for with one `since`.
      const newer = samples.filter(({ at }) => at > (known.current.at(-1)?.at ?? ""));
      known.current = [...known.current, ...newer].slice(-KEPT);
      return { every, samples: known.current };
    },
    EVERY,
    refresh,
  );
  return (
    <section aria-labelledby="figures">
      <h2 id="figures">The last minutes</h2>
      {problem !== null && <Trouble text={problem} retry={again} />}
      {found === null ? (
        problem === null && <p class="loading">Loading…</p>
      ) : found.samples.length === 0 ? (
        <p class="empty">There are no figures yet: the first come a few seconds after the server starts.</p>
      ) : (
        <dl class="figures">
          {FIGURES.map((figure) => (
            <Small key={figure.label} figure={figure} history={found} />
          ))}
        </dl>
      )}
      <p>
        <a href={ADMIN.metrics}>See all metrics</a>
      </p>
    </section>
  );
}

function Small({ figure: { label, of, text }, history: { every, samples } }: { figure: Figure; history: History }): JSX.Element {
  const values = samples.map((sample) => of(sample, every));
  const last = values.filter((value) => value !== null).at(-1) ?? null;
  return (
    <div>
      <dt>{label}</dt>
      <dd>
        {last === null ? "none yet" : text(last)}
        <Spark values={values} />
      </dd>
    </div>
  );
}

const WIDTH = 150;
const HEIGHT = 28;

/** A line without axes, from nothing up to the largest; the number beside it says where it is. */
function Spark({ values }: { values: (number | null)[] }): JSX.Element {
  const top = Math.max(...values.map((value) => value ?? 0), Number.MIN_VALUE);
  const step = WIDTH / Math.max(values.length - 1, 1);
  let path = "";
  let drawn = false;
  for (const [index, value] of values.entries()) {
    if (value !== null) {
      const y = HEIGHT - 1 - (value / top) * (HEIGHT - 2);
      path += `${drawn ? "L" : "M"}${(index * step).toFixed(1)} ${y.toFixed(1)}`;
    }
    drawn = value !== null;
  }
  return (
    <svg class="spark" viewBox={`0 0 ${WIDTH} ${HEIGHT}`} preserveAspectRatio="none" aria-hidden="true">
      <path d={path} fill="none" stroke="currentColor" stroke-width="1.5" vector-effect="non-scaling-stroke" />
    </svg>
  );
}
