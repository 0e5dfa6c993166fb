// What the opencode plugin says of its sessions, and what can be asked of them.
import * as api from "../api";

type Status = "pending" | "starting" | "running" | "stopping" | "stopped" | "failed";

export interface Session {
  id: string;
  name: string;
  status: Status;
  created_at: string;
  started_at: string | null;
  stopped_at: string | null;
  last_activity_at: string | null;
  project_path: string;
  user_id: string | null;
  runtime: string;
  image: string | null;
  error_message: string | null;
}

interface Update {
  session_id: string;
  update_available: boolean;
}

export interface Stats {
  cpu_percent: number;
  memory_bytes: number;
  memory_limit: number | null;
  processes: number;
}

/** Names of permissions, as `state.user.permissions` lists them. */
export const MAY = {
  view: "opencode:session:view",
  create: "opencode:session:create",
  control: "opencode:session:control",
  delete: "opencode:session:delete",
  code: "opencode:session:code",
  read: "opencode:file:read",
  write: "opencode:file:write",
  terminal: "opencode:terminal:use",
} as const;

export const LIST = "/console/sessions";
export const mountOf = (state: api.State): string | null => api.mountOf(state, "opencode");
export const pageOf = (id: string, tab = ""): string => `${LIST}/${encodeURIComponent(id)}${tab === "" ? "" : `/${tab}`}`;

/** The path of one of a session's parts: "code", "files", "term". */
export const part = (mount: string, id: string, name: string): string => `${mount}/api/session/${encodeURIComponent(id)}/${name}`;

const one = (mount: string, id: string): string => `${mount}/api/sessions/${encodeURIComponent(id)}`;

export const list = (mount: string): Promise<Session[]> => api.get(`${mount}/api/sessions?limit=1000`);
export const read = (mount: string, id: string): Promise<Session> => api.get(one(mount, id));
export const updates = (mount: string): Promise<Update[]> => api.get(`${mount}/api/sessions/updates`);
export const stats = async (mount: string, id: string): Promise<Stats | null> =>
  (await api.get<{ stats: Stats | null }>(`${one(mount, id)}/stats`)).stats;
export const logs = async (mount: string, id: string, lines: number): Promise<string> =>
  (await api.ask("GET", `${one(mount, id)}/logs?lines=${lines}`, { headers: { Accept: "text/plain" } })).text();

/** Answered at once; its start is told by events. */
export const create = (mount: string, path: string, name: string): Promise<Session> =>
  api.post(
    `${mount}/api/sessions`,
    { ...(path === "" ? {} : { project_path: path }), ...(name === "" ? {} : { name }) },
    { Prefer: "respond-async" },
  );

export type Deed = "stop" | "resume" | "upgrade";

/** Takes as long as the session needs to stop or to start. */
export async function control(mount: string, id: string, deed: Deed): Promise<void> {
  await api.ask("POST", `${one(mount, id)}/${deed}`, { wait: 180_000 });
}

export async function remove(mount: string, id: string): Promise<void> {
  await api.ask("DELETE", one(mount, id), { wait: 180_000 });
}

const WORDS: Record<Status, string> = {
  pending: "Waiting to start",
  starting: "Starting",
  running: "Running",
  stopping: "Stopping",
  stopped: "Stopped",
  failed: "Failed",
};

export const statusText = (status: string): string => WORDS[status as Status] ?? status;

/** Whether it is on its way from one state to another. */
export const moves = (status: Status): boolean => status === "pending" || status === "starting" || status === "stopping";

export function size(bytes: number): string {
  const units = ["bytes", "kB", "MB", "GB", "TB"];
  let unit = 0;
  let value = bytes;
  while (value >= 1000 && unit < units.length - 1) {
    value /= 1000;
    unit += 1;
  }
  return `${unit === 0 ? value : value.toFixed(value < 10 ? 1 : 0)} ${units[unit]}`;
}
