// Where chat's pages are, and who sees them: what the frame of all pages needs of chat.
import * as api from "../api";

/** Names of permissions, as `state.user.permissions` lists them. */
export const MAY = {
  view: "chat:conversation:view",
  write: "chat:conversation:write",
  share: "chat:conversation:share",
  generate: "chat:model:use",
  usage: "chat:usage:view",
} as const;

export const LIST = "/console/chat";
export const NEW = `${LIST}/new`;
export const USAGE = `${LIST}/usage`;
export const SHARED = "/console/shared/";

export const mountOf = (state: api.State): string | null => api.mountOf(state, "chat");
export const pageOf = (id: number): string => `${LIST}/${id}`;

/** Where chat is, as a shared page's address says: strangers are told of no plugin. Null where that cannot be. */
export function underOf(query: URLSearchParams): string | null {
  const under = query.get("under") ?? "";
  return /^(?:\/[A-Za-z0-9._~-]+)*$/.test(under) ? under : null;
}
