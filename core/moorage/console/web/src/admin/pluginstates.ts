// Plugins as the server tells of them, and their states in words.
import * as api from "../api";
import { ADMIN } from "../places";

export type State = "discovered" | "disabled" | "blocked" | "loaded" | "started" | "degraded" | "failed";

export interface Plugin {
  name: string;
  version: string;
  summary: string;
  /** The configuration wants it to run. */
  enabled: boolean;
  state: State;
  /** Why it does not run, or what it has to say. */
  reason: string | null;
  mounts: string[];
  required: boolean;
}

export interface Setting {
  key: string;
  value: unknown;
  source: string;
  /** The value is masked. */
  secret: boolean;
  description: string;
}

export interface Permission {
  name: string;
  summary: string;
  /** The lowest role that holds it by default, and the lowest that holds it for everybody's things. */
  role: string;
  any_role: string | null;
}

export interface Detail extends Plugin {
  distribution: string;
  /** It runs with its former settings: the new ones did not do. */
  kept: boolean;
  requires: string[];
  needed_by: string[];
  in_use: { connections: number; users: number };
  health: { status: "ok" | "degraded" | "failed"; detail: string } | null;
  settings: Setting[];
  permissions: Permission[];
}

/** What a reload did, by names of plugins. */
export interface Report {
  added: string[];
  removed: string[];
  changed: string[];
  failed: Record<string, string>;
  needs_restart: string[];
}

export interface All {
  plugins: Plugin[];
  /** Settings that were changed, and hold from the next start on. */
  needs_restart: string[];
}

const LIST = "/api/core/plugins";

export const list = (): Promise<All> => api.get(LIST);
export const read = (name: string): Promise<Detail> => api.get(`${LIST}/${encodeURIComponent(name)}`);
/** Milliseconds: a plugin may take its time to start and to stop; the server bounds it. */
const CHANGE = 310_000;
export const reload = (): Promise<Report> => api.postLong("/api/core/reload", CHANGE);
export const turn = (name: string, on: boolean): Promise<Report> =>
  api.postLong(`${LIST}/${encodeURIComponent(name)}/${on ? "enable" : "disable"}`, CHANGE);

export const pageOf = (name: string): string => `${ADMIN.plugins}/${encodeURIComponent(name)}`;

export const runs = (plugin: Plugin): boolean => plugin.state === "started" || plugin.state === "degraded";
/** It should run, and does not, or not as it should. */
export const unwell = (plugin: Plugin): boolean => plugin.enabled && plugin.state !== "started";

export const STATES: Record<State, string> = {
  discovered: "Found",
  disabled: "Off",
  blocked: "Blocked",
  loaded: "Starting",
  started: "Runs",
  degraded: "Runs, not well",
  failed: "Failed",
};

const count = (number: number, one: string): string => `${number} ${number === 1 ? one : `${one}s`}`;

/** "2 connections of 1 user". */
export const held = ({ connections, users }: Detail["in_use"]): string =>
  `${count(connections, "open connection")} of ${count(users, "user")}`;

/** What an operator does about a plugin's state. */
export function mend(plugin: Detail): string | null {
  if (plugin.kept) {
    return "It goes on with its former settings. Mend the new ones in the configuration file, then reload the configuration.";
  }
  if (plugin.state === "blocked") return "Give it what it misses, then reload the configuration.";
  if (plugin.state === "failed") return "Mend what the reason names, then reload the configuration. The server's log says more.";
  if (plugin.state === "degraded") return "It answers, but not for everything. It is asked how it is each time somebody looks.";
  return null;
}

/** A setting's value as one reads it; secrets came masked. */
export function valueText(value: unknown): string {
  if (value === null || value === undefined) return "not set";
  if (value === "") return "empty";
  if (value === true) return "yes";
  if (value === false) return "no";
  if (Array.isArray(value) && value.length === 0) return "none";
  if (Array.isArray(value) && value.every((one) => typeof one !== "object")) return value.join(", ");
  return typeof value === "object" ? JSON.stringify(value) : String(value);
}
