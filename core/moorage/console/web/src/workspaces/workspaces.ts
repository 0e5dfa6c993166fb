// What the mcp plugin says of its workspaces, and what can be asked of them.
import * as api from "../api";

export interface Workspace {
  id: number;
  pid: string;
  name: string;
  user_id: number;
  status: string;
  endpoint_url: string;
  created_at: string;
  updated_at: string;
  container_status: string | null;
  deleted_at: string | null;
  purge_after: string | null;
}

/** Patterns of tools' names: `deny` goes before `allow`, no `allow` allows all. */
export interface Rules {
  allow: string[];
  deny: string[];
}

export interface Details extends Workspace {
  tool_rules: Rules;
  call_limits: Record<string, number>;
  upstreams: Upstream[];
}

export type Kind = "provided" | "stdio" | "http" | "sse";

/** A server of a workspace. Values of `secrets` and `headers` are never told: each is `KEPT`. */
export interface Upstream {
  id: number;
  name: string;
  kind: Kind;
  enabled: boolean;
  prefix: string;
  command: string[];
  env: Record<string, string>;
  secrets: Record<string, string>;
  url: string;
  headers: Record<string, string>;
  fixed: Record<string, unknown>;
  tools: Rules;
  annotations: Record<string, unknown>;
  era: string | null;
  state: string | null;
  error: string | null;
  speaks: string | null;
  server: string | null;
}

export interface Tool {
  name: string;
  title?: string;
  description: string;
  inputSchema?: unknown;
  outputSchema?: unknown;
  annotations?: { title?: string; readOnlyHint?: boolean; destructiveHint?: boolean; idempotentHint?: boolean; openWorldHint?: boolean };
  upstream: string;
}

export type Block = Record<string, unknown>;

export interface Invoked {
  result: unknown;
  is_error: boolean;
  content: Block[];
}

export interface Call {
  id: number;
  at: string;
  user_id: number;
  credential: string;
  method: string;
  tool: string | null;
  upstream: string | null;
  client: string | null;
  arguments: unknown;
  outcome: string;
  error: string | null;
  duration_ms: number;
}

/** Stands for a secret that is there, where it is sent back. */
export const KEPT = "***";

/** Names of permissions, as `state.user.permissions` lists them. */
export const MAY = {
  view: "mcp:workspace:view",
  create: "mcp:workspace:create",
  manage: "mcp:workspace:manage",
  delete: "mcp:workspace:delete",
  use: "mcp:tool:use",
  command: "mcp:upstream:command",
  remote: "mcp:upstream:remote",
  key: "core:key:create",
} as const;

export const LIST = "/console/workspaces";
/** So often the server is asked while one looks, in milliseconds. */
export const ASK_EVERY = 5_000;
export const PER_PAGE = 25;
export const mountOf = (state: api.State): string | null => api.mountOf(state, "mcp");
export const pageOf = (id: number, tab = ""): string => `${LIST}/${id}${tab === "" ? "" : `/${tab}`}`;

interface Paged {
  meta: { page: number; total: number; total_pages: number };
}

const many = (mount: string): string => `${mount}/api/v1/workspaces`;
const one = (mount: string, id: number): string => `${many(mount)}/${id}`;
const server = (mount: string, id: number, upstream: number): string => `${one(mount, id)}/upstreams/${upstream}`;

/** All of a user's: nobody has more than some pages of them. */
export async function list(mount: string, user: number, status = ""): Promise<Workspace[]> {
  const found: Workspace[] = [];
  for (let page = 1; ; page += 1) {
    const query = new URLSearchParams({ per_page: "100", page: String(page), user_id: String(user), ...(status === "" ? {} : { status }) });
    const answer = await api.get<{ data: { workspaces: Workspace[] } } & Paged>(`${many(mount)}?${query}`);
    found.push(...answer.data.workspaces);
    if (page >= answer.meta.total_pages || page >= 20) return found;
  }
}

/** Without its tools: no server is started for it. */
export const read = async (mount: string, id: number): Promise<Details> =>
  (await api.get<{ data: Details }>(`${one(mount, id)}?tools=false`)).data;

export const upstreams = async (mount: string, id: number): Promise<Upstream[]> =>
  (await api.get<{ data: { upstreams: Upstream[] } }>(`${one(mount, id)}/upstreams`)).data.upstreams;

export const create = async (mount: string, name: string): Promise<Workspace> =>
  (await api.post<{ data: Workspace }>(many(mount), { name })).data;

export const change = async (mount: string, id: number, what: Record<string, unknown>): Promise<Details> =>
  (await api.patch<{ data: Details }>(one(mount, id), what)).data;

export const remove = (mount: string, id: number): Promise<unknown> => api.remove(one(mount, id));

export const restore = (mount: string, id: number, name?: string): Promise<unknown> =>
  api.post(`${one(mount, id)}/restore`, name === undefined ? {} : { name });

export async function restart(mount: string, id: number): Promise<void> {
  await asJson("POST", `${one(mount, id)}/restart`, {}, { wait: 100_000 });
}

export const addUpstream = (mount: string, id: number, what: Record<string, unknown>): Promise<unknown> =>
  api.post(`${one(mount, id)}/upstreams`, what);
export const changeUpstream = (mount: string, id: number, upstream: number, what: Record<string, unknown>): Promise<unknown> =>
  api.patch(server(mount, id, upstream), what);
export const removeUpstream = (mount: string, id: number, upstream: number): Promise<unknown> => api.remove(server(mount, id, upstream));

async function asJson(method: string, path: string, body: unknown, how: { wait: number; cancel?: AbortSignal }): Promise<unknown> {
  const sent = { headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) };
  return (await api.ask(method, path, { ...sent, ...how })).json();
}

/** What can be used now: servers are started for it. */
export async function tools(mount: string, id: number): Promise<Tool[]> {
  const answer = await api.ask("GET", `${mount}/api/v1/mcp/tools?workspace_id=${id}`, { wait: 120_000 });
  return ((await answer.json()) as { data: { tools: Tool[] } }).data.tools;
}

/** Use a tool. What went wrong on the way to it is thrown; what it says itself is told, `is_error` or not. */
export async function invoke(mount: string, id: number, tool: string, parameters: unknown, cancel: AbortSignal): Promise<Invoked> {
  const body = { workspace_id: id, tool, parameters };
  // The server has time-outs of its own, and says so.
  return ((await asJson("POST", `${mount}/api/v1/mcp/invoke`, body, { wait: 0, cancel })) as { data: Invoked }).data;
}

export interface CallsQuery {
  page: number;
  outcome: string;
  tool: string;
}

export async function calls(mount: string, id: number, wanted: CallsQuery): Promise<{ calls: Call[]; total: number }> {
  const query = new URLSearchParams({ page: String(wanted.page), per_page: String(PER_PAGE) });
  if (wanted.outcome !== "") query.set("outcome", wanted.outcome);
  if (wanted.tool !== "") query.set("tool", wanted.tool);
  const answer = await api.get<{ data: { calls: Call[] } } & Paged>(`${one(mount, id)}/calls?${query}`);
  return { calls: answer.data.calls, total: answer.meta.total };
}

/** What a client is configured with, as its file has it. */
export async function configuration(mount: string, id: number, client: string, auth: string): Promise<string> {
  return (await api.ask("GET", `${one(mount, id)}/mcp.json?${new URLSearchParams({ client, auth })}`)).text();
}

const NAME = /^[A-Za-z0-9._-]+$/;
const RESERVED = new Set(["terminal", ".", ".."]);

/** What is wrong with a name for a workspace; null: nothing that can be told without the server. */
export function nameProblem(name: string, taken: readonly string[]): string | null {
  if (name === "") return null;
  if (!NAME.test(name)) return "Letters, digits, hyphens, dots and underscores only.";
  if (name.length > 128) return "At most 128 characters.";
  if (RESERVED.has(name.toLowerCase()) || name.startsWith("ws_")) return "This name is reserved. Choose another.";
  if (taken.includes(name)) return "You have a workspace of this name already.";
  return null;
}

const STATES: Record<string, string> = { idle: "Not running", starting: "Starting", up: "Running" };

/** Whether its last start failed: it is "idle" again once it may be tried anew. */
export const fails = (upstream: Upstream): boolean =>
  upstream.enabled && (upstream.state === "failing" || (upstream.state !== "up" && upstream.error !== null));

export function stateText(upstream: Upstream): string {
  if (!upstream.enabled) return "Off";
  return fails(upstream) ? "Failing" : (STATES[upstream.state ?? "idle"] ?? upstream.state ?? "");
}

/** The class of a server's mark. */
export const stateClass = (upstream: Upstream): string =>
  !upstream.enabled ? "" : fails(upstream) ? "failed" : upstream.state === "up" ? "running" : "";

const CONTAINER: Record<string, string> = { stopped: "Nothing runs", starting: "Starting", running: "Running", failed: "Failed" };
export const containerText = (status: string | null): string => CONTAINER[status ?? "stopped"] ?? status ?? "";

export const KINDS: Record<Kind, string> = {
  provided: "Files and git of this workspace",
  stdio: "A program on the server",
  http: "An address (Streamable HTTP)",
  sse: "An address (HTTP with SSE, the older way)",
};

export const OUTCOMES: Record<string, string> = {
  ok: "Done",
  tool_error: "Tool failed",
  error: "Error",
  denied: "Not let through",
  timeout: "No sign of life",
  cancelled: "Cancelled",
  input_required: "Asked back",
};
