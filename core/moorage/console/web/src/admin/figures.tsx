// The last minutes in small figures: a section of the overview. The page of metrics has them in large.
import type { JSX } from "preact";
import { ADMIN } from "../places";
import { Trouble } from "../shell/trouble";
import { bytes, duration, number, percent, type Sample, useFigures } from "./history";

interface Figure {
  label: string;
  of: (sample: Sample, every: number) => number | null;
  text: (value: number) => string;
}

const FIGURES: Figure[] = [
  { label: "Requests", of: ({ requests }, every) => requests / every, text: (value) => `${number(value)} a second` },
  { label: "Server errors", of: ({ server_errors }, every) => server_errors / every, text: (value) => `${number(value)} a second` },
  { label: "Latency (p99)", of: ({ p99 }) => p99, text: duration },
  { label: "Processor", of: ({ cpu_percent }) => cpu_percent, text: (value) => `${percent(value)} of a core` },
  { label: "Memory", of: ({ rss_bytes }) => rss_bytes, text: bytes },
  { label: "Connections", of: ({ connections }) => connections, text: number },
];

export function FiguresPart({ refresh }: { refresh: () => Promise<void> }): JSX.Element {
  const { every, samples, problem, again } = useFigures(refresh);
  return (
    <section aria-labelledby="figures">
      <h2 id="figures">The last minutes</h2>
      {problem !== null && <Trouble text={problem} retry={again} />}
      {samples === null ? (
        problem === null && <p class="loading">Loading…</p>
      ) : samples.length === 0 ? (
        <p class="empty">There are no figures yet: the first come a few seconds after the server starts.</p>
      ) : (
        <dl class="figures">
          {FIGURES.map((figure) => (
            <Small key={figure.label} figure={figure} every={every} samples={samples} />
          ))}
        </dl>
      )}
      <p>
        <a href={ADMIN.metrics}>See all metrics</a>
      </p>
    </section>
  );
}

interface SmallProps {
  figure: Figure;
  every: number;
  samples: Sample[];
}

function Small({ figure: { label, of, text }, every, samples }: SmallProps): JSX.Element {
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
