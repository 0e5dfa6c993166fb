// What the memories plugin says of one's memories, and what can be asked of it.
import * as api from "../api";

export type MemoryType = "semantic" | "episodic" | "procedural";

export interface Memory {
  id: string;
  store: string;
  content: string;
  memory_type: MemoryType;
  category: string;
  tags: string[];
  /** 1 to 10. */
  importance: number;
  created_at: string;
  updated_at: string;
}

/** What can be written of a memory. */
export interface Draft {
  content: string;
  memory_type: MemoryType;
  category: string;
  tags: string[];
  importance: number;
}

export interface Store {
  name: string;
  /** How many memories are in it; null where that is not known. */
  memories: number | null;
  /** The folder of the project whose memories these are. */
  project: string | null;
}

export interface Page {
  memories: Memory[];
  total: number;
}

export interface Found {
  memories: Memory[];
  /** How was searched in the end: less than was asked for where the server has no model of meaning. */
  mode: string;
}

export const TYPES: [MemoryType, string][] = [
  ["semantic", "Fact"],
  ["episodic", "Event"],
  ["procedural", "How to do something"],
];

/** Ways to search. */
export const MODES: [string, string][] = [
  ["hybrid", "Words and meaning"],
  ["semantic", "Meaning"],
  ["keyword", "All of the words"],
  ["bm25", "Any of the words"],
  ["fuzzy", "Words alike"],
];

/** Memories of one page of the list. */
export const PAGE = 50;
/** The longest file of memories that is sent at once, in bytes. */
export const MAX_IMPORT = 32 * 1024 * 1024;

const many = (mount: string): string => `${mount}/api/memories`;
const one = (mount: string, id: string): string => `${many(mount)}/${encodeURIComponent(id)}`;

/** `?store=…` and the like; nothing for what is "". */
function query(values: Record<string, string>): string {
  const text = String(new URLSearchParams(Object.entries(values).filter(([, value]) => value !== "")));
  return text === "" ? "" : `?${text}`;
}

export const list = (mount: string, store: string, offset: number): Promise<Page> =>
  api.get(`${many(mount)}${query({ store, offset: String(offset), limit: String(PAGE) })}`);

/** `mode`: "" is the server's choice. */
export const search = (mount: string, store: string, q: string, mode: string): Promise<Found> =>
  api.post(`${many(mount)}/search`, { query: q, limit: PAGE, ...(mode === "" ? {} : { mode }), ...(store === "" ? {} : { store }) });

export const stores = async (mount: string): Promise<Store[]> => (await api.get<{ stores: Store[] }>(`${many(mount)}/stores`)).stores;

/** `store`: "" is the default one; one that is not there is made. */
export const add = (mount: string, store: string, draft: Draft): Promise<unknown> => api.post(`${many(mount)}${query({ store })}`, draft);

export const change = (mount: string, id: string, draft: Draft): Promise<unknown> => api.put(one(mount, id), draft);

export const forget = (mount: string, id: string): Promise<unknown> => api.remove(one(mount, id));

/** Where the browser downloads memories from, one a line. */
export const exportOf = (mount: string, store: string): string => `${many(mount)}/export${query({ store })}`;

/** How a file was taken in. skipped: what was there already. */
export interface Imported {
  imported: number;
  skipped: number;
}

/** Take in a file of memories, one a line. `store`: "" is the one that each line names. */
export async function bringIn(mount: string, store: string, file: Blob): Promise<Imported> {
  const sent = { headers: { "Content-Type": "application/jsonl" }, body: file, wait: 600_000 };
  return (await api.ask("POST", `${many(mount)}/import${query({ store })}`, sent)).json() as Promise<Imported>;
}
