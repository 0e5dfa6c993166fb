// The machine and what runs on it for sessions, as the server streams it while one looks.
import type { JSX } from "preact";
import { useEffect, useState } from "preact/hooks";
import type { PageProps } from "../app";
import { Trouble } from "../shell/trouble";
import { bytes, percent } from "./history";
import { Part } from "./part";
import { Table } from "./table";

interface Stats {
  CpuPercent: string;
  MemUsage: string;
  NetIo: string;
  BlockIo: string;
  Pids: string;
}

interface Workload {
  session_id: string;
  container_id: string | null;
  container_name: string;
  /** Null when it does not run. */
  stats: Stats | null;
}

interface Now {
  host: { cpu_percent: number; mem_total_bytes: number; mem_used_bytes: number; mem_available_bytes: number } | null;
  containers: Workload[];
  error: string | null;
}

/** After a stream that the server ended, milliseconds until the next attempt; one that broke comes back by itself. */
const PAUSE = 10_000;

export function Machine({ refresh }: Pick<PageProps, "refresh">): JSX.Element {
  const { now, away } = useNow(refresh);
  const host = now?.host;
  return (
    <Part title="Machine and workloads">
      {away && <Trouble text="The figures of the machine do not come at the moment. They are asked for again every few seconds." />}
      {now === null && !away && <p class="loading">Loading…</p>}
      {now?.error && <p class="warning">{now.error}</p>}
      {host && (
        <dl class="facts">
          <dt>Processor</dt>
          <dd>
            <Share label="Processor of the machine" part={host.cpu_percent / 100} text={`${percent(host.cpu_percent)} of all cores`} />
          </dd>
          <dt>Memory</dt>
          <dd>
            <Share
              label="Memory of the machine"
              part={1 - host.mem_available_bytes / host.mem_total_bytes}
              text={`${bytes(host.mem_total_bytes - host.mem_available_bytes)} of ${bytes(host.mem_total_bytes)}`}
            />
          </dd>
        </dl>
      )}
      {now !== null && <Workloads workloads={now.containers} />}
    </Part>
  );
}

const Share = ({ label, part, text }: { label: string; part: number; text: string }): JSX.Element => (
  <span class="share">
    <meter aria-label={label} min={0} max={1} high={0.9} value={Math.min(Math.max(part, 0), 1)} />
    {text}
  </span>
);

function Workloads({ workloads }: { workloads: Workload[] }): JSX.Element {
  if (workloads.length === 0) return <p class="empty">No workload of a session is known. They appear here when somebody starts one.</p>;
  const rows = workloads.map(({ session_id: id, container_name: name, stats }) => ({
    key: id,
    cells: stats === null ? [name, "does not run"] : [name, stats.CpuPercent, stats.MemUsage, stats.NetIo, stats.BlockIo, stats.Pids],
  }));
  const columns = ["Workload", "Processor", "Memory", "Network in / out", "Disk in / out", "Processes"];
  return <Table label="Workloads of sessions" columns={columns} rows={rows} figures={[1, 2, 3, 4, 5]} />;
}

/** The newest event of the stream, which is open only while one looks. */
function useNow(refresh: () => Promise<void>): { now: Now | null; away: boolean } {
  const [now, setNow] = useState<Now | null>(null);
  const [away, setAway] = useState(false);
  useEffect(() => {
    let stream: EventSource | null = null;
    let timer = 0;
    const close = () => {
      clearTimeout(timer);
      stream?.close();
      stream = null;
    };
    const open = () => {
      close();
      if (document.visibilityState === "hidden") return;
      const mine = new EventSource("/api/admin/metrics");
      stream = mine;
      mine.onmessage = (event: MessageEvent<string>) => {
        setNow(JSON.parse(event.data) as Now);
        setAway(false);
      };
      mine.onerror = () => {
        setAway(true);
        if (mine.readyState !== EventSource.CLOSED) return;
        // Refused: the login may have ended, or its rights. The browser does not try again.
        void refresh();
        timer = window.setTimeout(open, PAUSE);
      };
    };
    open();
    document.addEventListener("visibilitychange", open);
    return () => {
      document.removeEventListener("visibilitychange", open);
      close();
    };
  }, []);
  return { now, away };
}
