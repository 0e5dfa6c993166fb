// Things of a person's that plugins name: what runs, what was used, what a search found.
import * as api from "./api";
import { go } from "./router";

export interface Entry {
  plugin: string;
  kind: string;
  title: string;
  href: string;
  detail: string;
  updated_at: string | null;
  live: boolean;
}

export interface Entries {
  entries: Entry[];
  /** Plugins that failed, or did not answer in time. */
  missing: string[];
}

const KINDS: Record<string, string> = {
  terminal: "Terminals",
  recording: "Recordings",
  session: "Sessions",
  workspace: "Workspaces",
  conversation: "Conversations",
  memory: "Memories",
  user: "Users",
  plugin: "Plugins",
};

/** Things of a kind, as a heading names them. */
export const kindTitle = (kind: string): string => KINDS[kind] ?? kind.charAt(0).toUpperCase() + kind.slice(1);

/** By kind, in the order in which the kinds come first. */
export function byKind(entries: Entry[]): [string, Entry[]][] {
  const groups = new Map<string, Entry[]>();
  for (const entry of entries) {
    const group = groups.get(entry.kind);
    if (group === undefined) groups.set(entry.kind, [entry]);
    else group.push(entry);
  }
  return [...groups];
}

/** What an entry links to: within this server only, whatever a plugin says. */
export function inside(href: string): string {
  try {
    const url = new URL(href, location.origin);
    if (url.origin === location.origin) return url.pathname + url.search + url.hash;
  } catch {
    // Not an address at all.
  }
  return "/";
}

/** Open what an entry links to: a page of ours in place, else as a link would. */
export function open(href: string): void {
  const path = inside(href);
  if (path === "/" || path.startsWith("/console/")) go(path);
  else location.assign(path);
}

/** "Chat did not answer…": `missing` in words; null where there is none. */
export function missingText(missing: string[], title: (plugin: string) => string): string | null {
  if (missing.length === 0) return null;
  const names = new Intl.ListFormat("en", { type: "conjunction" }).format(missing.map(title));
  return `${names} did not answer: what is there is not shown.`;
}

export const overview = (): Promise<Entries> => api.get("/api/console/overview");

export async function search(q: string, cancel: AbortSignal): Promise<Entries> {
  const answer = await api.ask("GET", `/api/console/search?${new URLSearchParams({ q, limit: "8" })}`, { cancel });
  return (await answer.json()) as Entries;
}
