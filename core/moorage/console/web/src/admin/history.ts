// The server's figures of the last quarter of an hour, fetched as they are made, and how they are written.
import { useRef } from "preact/hooks";
import * as api from "../api";
import { usePolled } from "../polled";

/** Five seconds of the server; `at` is their end. */
export interface Sample {
  at: string;
  requests: number;
  client_errors: number;
  limited: number;
  server_errors: number;
  /** Seconds, upper bounds; null when nothing was answered. */
  p50: number | null;
  p99: number | null;
  /** Of one core. */
  cpu_percent: number;
  rss_bytes: number | null;
  connections: number;
  users: number;
  /** Seconds. */
  lag: number;
  plugins: Record<string, number>;
}

interface History {
  every: number;
  samples: Sample[];
}

/** Milliseconds between two questions: the server makes no more samples than that. */
const ASK_EVERY = 5_000;
/** Milliseconds that are shown. */
export const SHOWN = 15 * 60_000;

export interface Figures {
  every: number;
  /** The oldest first; null until the first answer. */
  samples: Sample[] | null;
  problem: string | null;
  again: () => Promise<void>;
}

/** The samples, followed while the page is looked at. What was missed is fetched when one looks again. */
export function useFigures(refresh: () => Promise<void>): Figures {
  const known = useRef<Sample[]>([]);
  const { found, problem, again } = usePolled(
    async () => {
      const since = known.current.at(-1)?.at ?? "";
      const { every, samples } = await api.get<History>(`/api/core/metrics/history?${new URLSearchParams({ since })}`);
      // Two answers may have been asked for with one `since`.
      const newer = samples.filter(({ at }) => at > (known.current.at(-1)?.at ?? ""));
      known.current = recent([...known.current, ...newer]);
      return { every, samples: known.current };
    },
    ASK_EVERY,
    refresh,
  );
  return { every: found?.every ?? ASK_EVERY / 1000, samples: found?.samples ?? null, problem, again };
}

function recent(samples: Sample[]): Sample[] {
  const newest = Date.parse(samples.at(-1)?.at ?? "");
  return samples.filter(({ at }) => newest - Date.parse(at) < SHOWN);
}

/** One minute: sums of what is counted, and the highest of the rest. */
export function minutes(samples: Sample[]): Sample[] {
  const found = new Map<number, Sample>();
  for (const one of samples) {
    const minute = Math.floor(Date.parse(one.at) / 60_000);
    const before = found.get(minute);
    found.set(minute, before === undefined ? { ...one, at: new Date(minute * 60_000).toISOString() } : together(before, one));
  }
  return [...found.values()].reverse();
}

const highest = (one: number | null, other: number | null): number | null =>
  one === null ? other : other === null ? one : Math.max(one, other);

function together(one: Sample, other: Sample): Sample {
  return {
    at: one.at,
    requests: one.requests + other.requests,
    client_errors: one.client_errors + other.client_errors,
    limited: one.limited + other.limited,
    server_errors: one.server_errors + other.server_errors,
    p50: highest(one.p50, other.p50),
    p99: highest(one.p99, other.p99),
    cpu_percent: Math.max(one.cpu_percent, other.cpu_percent),
    rss_bytes: highest(one.rss_bytes, other.rss_bytes),
    connections: Math.max(one.connections, other.connections),
    users: Math.max(one.users, other.users),
    lag: Math.max(one.lag, other.lag),
    plugins: {},
  };
}

/** The plugins with the most requests, the busiest first; of the rest, their sum is made elsewhere. */
export function busiest(samples: Sample[], most: number): string[] {
  const sums = new Map<string, number>();
  for (const { plugins } of samples) {
    for (const [name, requests] of Object.entries(plugins)) sums.set(name, (sums.get(name) ?? 0) + requests);
  }
  return [...sums].sort(([, one], [, other]) => other - one).slice(0, most).map(([name]) => name);
}

const short = new Intl.NumberFormat(undefined, { maximumSignificantDigits: 3 });
const UNITS = ["B", "KiB", "MiB", "GiB", "TiB"];

export const number = (value: number): string => short.format(value);
export const percent = (value: number): string => `${short.format(value)} %`;

/** Seconds, as milliseconds where there are few. */
export const duration = (seconds: number): string =>
  seconds >= 1 ? `${short.format(seconds)} s` : `${short.format(seconds * 1000)} ms`;

export function bytes(value: number): string {
  let unit = 0;
  while (value >= 1024 && unit < UNITS.length - 1) {
    value /= 1024;
    unit += 1;
  }
  return `${short.format(value)} ${UNITS[unit]}`;
}

/** The time of day in the reader's zone. */
export const clock = (at: number, seconds = true): string =>
  new Date(at).toLocaleTimeString(undefined, { hour: "2-digit", minute: "2-digit", ...(seconds ? { second: "2-digit" } : {}) });
