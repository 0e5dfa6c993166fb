// Where the memories are, and who sees them: what the frame of all pages needs of them.
import * as api from "../api";

/** Names of permissions, as `state.user.permissions` lists them. */
export const MAY = {
  view: "memories:memory:view",
  write: "memories:memory:write",
} as const;

export const LIST = "/console/memories";

export const mountOf = (state: api.State): string | null => api.mountOf(state, "memories");

/** What the page shows: one store ("" for all), a search, and a page of the list. */
export interface Shown {
  store: string;
  q: string;
  mode: string;
  offset: number;
}

export const shownBy = (query: URLSearchParams): Shown => ({
  store: query.get("store") ?? "",
  q: query.get("q") ?? "",
  mode: query.get("mode") ?? "",
  offset: Math.max(0, Math.floor(Number(query.get("offset")) || 0)),
});

/** The address of the page that shows this. */
export function pageOf({ store, q, mode, offset }: Shown): string {
  const values = { store, q, mode, offset: offset > 0 ? String(offset) : "" };
  const text = String(new URLSearchParams(Object.entries(values).filter(([, value]) => value !== "")));
  return text === "" ? LIST : `${LIST}?${text}`;
}
