// Roles as the server tells of them: what each holds, how far that reaches, and why.
import * as api from "../api";
import { ANY } from "../words";
import type { Permission } from "./pluginstates";

export interface Role {
  name: string;
  builtin: boolean;
  /** The role that it starts from. */
  includes: string | null;
  /** Patterns of the configuration. */
  grants: string[];
  denies: string[];
  /** All names that it holds, `:any` for everybody's things. */
  permissions: string[];
}

export interface All {
  roles: Role[];
  permissions: Permission[];
}

export interface Detail extends Role {
  chain: string[];
  held: { name: string; reasons: string[] }[];
}

export interface Answer {
  user: string;
  role: string;
  permission: string;
  allowed: boolean;
  reasons: string[];
}

export const list = (): Promise<All> => api.get("/api/core/roles");
export const read = (name: string): Promise<Detail> => api.get(`/api/core/roles/${encodeURIComponent(name)}`);

export function explain(user: string, permission: string, owner: string): Promise<Answer> {
  const query = new URLSearchParams({ user, permission, ...(owner === "" ? {} : { owner }) });
  return api.get(`/api/core/access/explain?${query}`);
}

type Reach = "none" | "own" | "all";

/** How far a permission reaches in a role. */
export function reach(role: Role, permission: Permission): Reach {
  if (role.permissions.includes(permission.name + ANY)) return "all";
  if (!role.permissions.includes(permission.name)) return "none";
  // Where things have no owners, there is no difference to tell.
  return permission.any_role === null ? "all" : "own";
}

export function reachText(found: Reach, permission: Permission): string {
  if (found === "none") return "no";
  if (permission.any_role === null) return "yes";
  return found === "all" ? "everybody's" : "one's own";
}
