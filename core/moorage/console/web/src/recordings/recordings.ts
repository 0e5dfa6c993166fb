// What the tmux plugin says of recordings, and how it is told to people.
import * as api from "../api";
import { MAY, RECORDINGS } from "../tmux";

export interface Recording {
  id: string;
  sessionId: string;
  startedAt: string;
  endedAt: string | null;
  endReason: string | null;
  startedBy: { id: string; name: string } | null;
  cols: number;
  rows: number;
  /** Seconds. */
  duration: number;
  /** Bytes. */
  size: number;
  live: boolean;
}

export const PAGE = 25;

const at = (mount: string, id: string): string => `${mount}/api/recordings/${encodeURIComponent(id)}`;

export const list = (mount: string, session: string, offset: number): Promise<{ recordings: Recording[]; total: number }> =>
  api.get(`${mount}/api/recordings?${new URLSearchParams({ ...(session ? { session } : {}), limit: String(PAGE), offset: String(offset) })}`);

export const one = (mount: string, id: string): Promise<Recording> => api.get(at(mount, id));

export const erase = (mount: string, id: string): Promise<unknown> => api.remove(at(mount, id));

export const castUrl = (mount: string, id: string, format: "v3" | "v2"): string => `${at(mount, id)}/cast?format=${format}`;

export const replayPath = (id: string): string => `${RECORDINGS}/${encodeURIComponent(id)}`;

export function listPath(session: string, offset = 0): string {
  const query = new URLSearchParams({ ...(session ? { session } : {}), ...(offset > 0 ? { offset: String(offset) } : {}) });
  const text = String(query);
  return text === "" ? RECORDINGS : `${RECORDINGS}?${text}`;
}

/** One's own recordings one may delete, others' with the permission for it. */
export const mayErase = (user: api.User, recording: Recording): boolean =>
  user.permissions.includes(MAY.erase) || (recording.startedBy?.id === user.id && user.permissions.includes(MAY.record));

const ENDS: Record<string, string> = {
  stopped: "",
  session_ended: "the terminal ended",
  size: "it had reached its largest size",
  server_stopped: "the server was stopped",
  interrupted: "the server broke off",
  error: "the disk took no more",
};

/** Why it ended, where that is worth telling. */
export const endText = (reason: string | null): string => (reason === null ? "" : (ENDS[reason] ?? reason));

export const by = (recording: Recording): string => recording.startedBy?.name ?? "the server's settings";

/** 75 as "1:15", 3675 as "1:01:15". */
export function clock(seconds: number): string {
  const whole = Math.max(0, Math.floor(seconds));
  const two = (value: number): string => String(value).padStart(2, "0");
  const [h, m, s] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
  return h > 0 ? `${h}:${two(m)}:${two(s)}` : `${m}:${two(s)}`;
}

/** 75 as "1 minute 15 seconds", for those who hear it. */
export function spoken(seconds: number): string {
  const whole = Math.max(0, Math.floor(seconds));
  const parts: [number, string][] = [
    [Math.floor(whole / 3600), "hour"],
    [Math.floor(whole / 60) % 60, "minute"],
    [whole % 60, "second"],
  ];
  const said = parts.filter(([count]) => count > 0).map(([count, unit]) => `${count} ${unit}${count === 1 ? "" : "s"}`);
  return said.length > 0 ? said.join(" ") : "0 seconds";
}

/** Bytes with a unit. */
export function bytes(count: number): string {
  if (count < 1000) return `${count} B`;
  const units = ["kB", "MB", "GB"];
  let value = count / 1000;
  let unit = 0;
  while (value >= 999.5 && unit < units.length - 1) {
    value /= 1000;
    unit += 1;
  }
  return `${value < 10 ? value.toFixed(1) : Math.round(value)} ${units[unit]}`;
}
