// A plot of figures over time, drawn as SVG. Pointer and arrow keys read off the values of a moment.
import type { JSX } from "preact";
import { useId, useLayoutEffect, useRef, useState } from "preact/hooks";
import { clock, SHOWN } from "./history";
import { ceiling, line, type Point } from "./scale";

export interface Series {
  name: string;
  values: (number | null)[];
}

interface PlotProps {
  title: string;
  /** What it says in a sentence. */
  about: string;
  /** Milliseconds since 1970, one for each value of each series. */
  times: number[];
  /** Seconds between two values. */
  every: number;
  series: Series[];
  format: (value: number) => string;
  binary?: boolean;
  /** The least that the scale reaches to. */
  least?: number;
  /** The moment that is read off in all plots; null: the newest. */
  moment: number | null;
  setMoment: (at: number | null) => void;
}

const HEIGHT = 130;
const LEFT = 58;
const TOP = 8;
const BOTTOM = 20;
const TICK = 5 * 60_000;

export function Plot(props: PlotProps): JSX.Element {
  const { title, about, times, every, series, format, moment } = props;
  const id = useId();
  const [place, width] = useWidth();
  const until = times.at(-1) ?? Date.now();
  const from = until - SHOWN;
  const index = indexAt(times, moment);
  const top = ceiling(Math.max(props.least ?? 0, ...series.flatMap(({ values }) => values.map((value) => value ?? 0))), props.binary);
  const x = (at: number) => LEFT + ((at - from) / (until - from)) * (width - LEFT - 4);
  const y = (value: number) => TOP + (1 - value / top) * (HEIGHT - TOP - BOTTOM);
  const read = readout(series, index, format);
  const readAt = times[index];
  return (
    <figure class="plot" aria-labelledby={id}>
      <figcaption>
        <strong id={id}>{title}</strong>
        <span class="hint">{about}</span>
      </figcaption>
      <Legend series={series} index={index} format={format} />
      <div
        ref={place}
        class="canvas"
        role="slider"
        tabIndex={0}
        aria-label={`${title}: moment to read`}
        aria-valuemin={0}
        aria-valuemax={Math.max(times.length - 1, 0)}
        aria-valuenow={Math.max(index, 0)}
        aria-valuetext={readAt === undefined ? "Nothing yet" : `${clock(readAt)}: ${read}`}
        onKeyDown={(event) => step(event, props, index)}
        onPointerMove={(event) => {
          const box = event.currentTarget.getBoundingClientRect();
          const part = (event.clientX - box.left - LEFT) / (box.width - LEFT - 4);
          props.setMoment(from + Math.min(Math.max(part, 0), 1) * SHOWN);
        }}
        onPointerLeave={() => props.setMoment(null)}
        onBlur={() => props.setMoment(null)}
      >
        {width > 0 && (
          <svg width={width} height={HEIGHT} aria-hidden="true" focusable="false">
            {[0, top / 2, top].map((value) => (
              <g key={value}>
                <line class="grid" x1={LEFT} x2={width - 4} y1={y(value)} y2={y(value)} />
                <text x={LEFT - 6} y={y(value) + 4} text-anchor="end">
                  {format(value)}
                </text>
              </g>
            ))}
            {ticks(from, until).map((at) => (
              <text key={at} x={Math.min(x(at), width - 26)} y={HEIGHT - 4} text-anchor="middle">
                {clock(at, false)}
              </text>
            ))}
            {series.map(({ name, values }, number) => (
              <path key={name} class={`line s${number}`} d={line(pointsOf(times, values), x, y, every * 2500)} />
            ))}
            {moment !== null && readAt !== undefined && <line class="moment" x1={x(readAt)} x2={x(readAt)} y1={TOP} y2={HEIGHT - BOTTOM} />}
          </svg>
        )}
      </div>
    </figure>
  );
}

function Legend({ series, index, format }: { series: Series[]; index: number; format: (value: number) => string }): JSX.Element {
  return (
    <ul class="legend">
      {series.map(({ name, values }, number) => (
        <li key={name}>
          <svg width="18" height="8" aria-hidden="true" focusable="false">
            <path class={`line s${number}`} d="M1 4h16" />
          </svg>
          {name} <b>{text(values[index], format)}</b>
        </li>
      ))}
    </ul>
  );
}

const text = (value: number | null | undefined, format: (value: number) => string): string =>
  value === null || value === undefined ? "–" : format(value);

const readout = (series: Series[], index: number, format: (value: number) => string): string =>
  series.map(({ name, values }) => `${name} ${text(values[index], format)}`).join(", ");

const pointsOf = (times: number[], values: (number | null)[]): Point[] =>
  times.map((at, place) => ({ at, value: values[place] ?? null }));

/** The place of the value that is nearest to the moment; without one, of the newest. */
function indexAt(times: number[], moment: number | null): number {
  if (moment === null) return times.length - 1;
  let best = -1;
  times.forEach((at, place) => {
    if (best < 0 || Math.abs(at - moment) < Math.abs((times[best] ?? 0) - moment)) best = place;
  });
  return best;
}

function ticks(from: number, until: number): number[] {
  const found: number[] = [];
  // One at the very beginning would stand below the scale's numbers.
  for (let at = Math.ceil((from + TICK / 5) / TICK) * TICK; at <= until; at += TICK) found.push(at);
  return found;
}

const STEPS: Record<string, number> = { ArrowLeft: -1, ArrowDown: -1, ArrowRight: 1, ArrowUp: 1, PageDown: -12, PageUp: 12 };

function step(event: KeyboardEvent, { times, setMoment }: PlotProps, index: number): void {
  const last = times.length - 1;
  if (event.key === "Escape") {
    setMoment(null);
    return;
  }
  const wanted = event.key === "Home" ? 0 : event.key === "End" ? last : index + (STEPS[event.key] ?? Number.NaN);
  const at = times[Math.min(Math.max(wanted, 0), last)];
  if (Number.isNaN(wanted) || at === undefined) return;
  event.preventDefault();
  setMoment(at);
}

/** An element's width in pixels, as it changes. */
function useWidth(): [{ current: HTMLDivElement | null }, number] {
  const place = useRef<HTMLDivElement>(null);
  const [width, setWidth] = useState(0);
  useLayoutEffect(() => {
    const element = place.current;
    if (element === null) return;
    const watch = new ResizeObserver(([entry]) => setWidth(Math.floor(entry?.contentRect.width ?? 0)));
    watch.observe(element);
    setWidth(Math.floor(element.clientWidth));
    return () => watch.disconnect();
  }, []);
  return [place, width];
}
