// Where one can go: the places that this person may see, for the navigation, the first page and the search.
import * as api from "./api";
import { BEGIN } from "./begin";
import * as chat from "./chat/place";
import * as memories from "./memories/place";
import * as sessions from "./sessions/sessions";
import * as tmux from "./tmux";
import * as voice from "./voice/place";
import * as workspaces from "./workspaces/workspaces";

export interface Place {
  address: string;
  title: string;
  /** A sentence of what one does there. */
  about: string;
  /** The plugin whose things are there. */
  plugin?: string;
  /** What one begins there, where one may. */
  begin?: Begin;
  /** Other addresses whose pages belong to this place. */
  also?: string[];
}

export interface Begin {
  title: string;
  address: string;
}

export const HOME = "/";
export const ACCOUNT = "/console/account";
export const DEVICE = "/console/device";
/** Below it are pages that plugins bring. */
export const PLUGIN_PAGES = "/console/plugin/";

/** Pages of administration, each `/console/admin` and below. */
export const ADMIN = {
  overview: "/console/admin",
  users: "/console/admin/users",
  roles: "/console/admin/roles",
  invites: "/console/admin/invites",
  sessions: "/console/admin/sessions",
  running: "/console/admin/running",
  plugins: "/console/admin/plugins",
  metrics: "/console/admin/metrics",
  audit: "/console/admin/audit",
} as const;

/** Permissions of the core that pages ask for, as `state.user.permissions` lists them: `:any` is everybody's. */
export const MAY = {
  readUsers: "core:user:read:any",
  manageUsers: "core:user:manage",
  manageInvites: "core:invite:manage",
  readSessions: "core:session:read:any",
  endSessions: "core:session:delete:any",
  readKeys: "core:key:read:any",
  revokeKeys: "core:key:delete:any",
  readPlugins: "core:plugin:read",
  managePlugins: "core:plugin:manage",
  readMetrics: "core:metrics:read",
  readAudit: "core:audit:read",
  readHealth: "core:health:read",
} as const;

export const may = (state: api.State, permission: string): boolean => state.user?.permissions.includes(permission) ?? false;

export const pageOf = (page: api.Page): string => `${PLUGIN_PAGES}${page.plugin}/${page.name}`;

/** Everything but administration: Home, what plugins bring, and the account. */
export function mainPlaces(state: api.State): Place[] {
  if (state.user === null) return [];
  const here = (plugin: string, permission: string) => api.mountOf(state, plugin) !== null && may(state, permission);
  const begin = (title: string, address: string, ...needed: string[]): Pick<Place, "begin"> =>
    needed.every((permission) => may(state, permission)) ? { begin: { title, address } } : {};
  const found: Place[] = [{ address: HOME, title: "Home", about: "What you have going, and where you can go.", also: ["/console"] }];
  if (here("tmux", tmux.MAY.view)) {
    const about = "Shared terminals of this server: watch, and type where nobody else does.";
    const create = begin("New terminal", tmux.LIST + BEGIN, tmux.MAY.create);
    found.push({ address: tmux.LIST, title: "Terminals", about, plugin: "tmux", also: [tmux.ONE.slice(0, -1)], ...create });
    if (may(state, tmux.MAY.replay)) found.push({ address: tmux.RECORDINGS, title: "Recordings", about: "Terminals of the past, to be played again." });
  }
  if (here("opencode", sessions.MAY.view)) {
    const create = begin("New session", sessions.LIST + BEGIN, sessions.MAY.create);
    found.push({ address: sessions.LIST, title: "Sessions", about: "Coding agents, each at work on a project.", plugin: "opencode", ...create });
  }
  if (here("mcp", workspaces.MAY.view)) {
    const about = "Tools for programs that speak MCP, gathered behind one address each.";
    const create = begin("New workspace", workspaces.LIST + BEGIN, workspaces.MAY.create);
    found.push({ address: workspaces.LIST, title: "Workspaces", about, plugin: "mcp", ...create });
  }
  if (here("chat", chat.MAY.view)) {
    const create = begin("New chat", chat.NEW, chat.MAY.write, chat.MAY.generate);
    found.push({ address: chat.LIST, title: "Chat", about: `Conversations with language models.${spoken(state)}`, plugin: "chat", ...create });
  }
  if (here("memories", memories.MAY.view)) {
    const create = begin("New memory", memories.LIST + BEGIN, memories.MAY.write);
    found.push({ address: memories.LIST, title: "Memories", about: "What agents and you want to be remembered.", plugin: "memories", ...create });
  }
  const own = state.pages.filter(({ admin }) => !admin).map(placeOf);
  return [...found, ...own];
}

/** What voice adds to chat: it has no page of its own. */
function spoken(state: api.State): string {
  if (api.mountOf(state, "voice") === null) return "";
  const [hears, speaks] = [may(state, voice.MAY.hear), may(state, voice.MAY.speak)];
  if (hears && speaks) return " You can speak to them, and listen.";
  if (hears) return " You can speak to them.";
  return speaks ? " You can listen to them." : "";
}

/** Administration: what of it this person may see. Empty for most people. */
export function adminPlaces(state: api.State): Place[] {
  const wanted: [string, Place][] = [
    [MAY.readUsers, { address: ADMIN.users, title: "Users", about: "Who has an account, and what they may do." }],
    [MAY.manageUsers, { address: ADMIN.roles, title: "Roles", about: "What each role may do, and why." }],
    [MAY.manageInvites, { address: ADMIN.invites, title: "Invites", about: "Let people in." }],
    [MAY.readSessions, { address: ADMIN.sessions, title: "Logins", about: "Who is signed in, from where, and what they hold open." }],
    [MAY.readSessions, { address: ADMIN.running, title: "Running", about: "Sessions, terminals and answers of everybody that go on now." }],
    [MAY.readPlugins, { address: ADMIN.plugins, title: "Plugins", about: "What runs and what does not, and its settings." }],
    [MAY.readMetrics, { address: ADMIN.metrics, title: "Metrics", about: "Requests, latency, processor and memory of the last minutes." }],
    [MAY.readAudit, { address: ADMIN.audit, title: "Audit", about: "What was done, by whom, and when." }],
  ];
  const found = wanted.filter(([permission]) => may(state, permission)).map(([, place]) => place);
  const own = state.pages.filter(({ admin }) => admin).map(placeOf);
  if (found.length === 0) return own;
  return [{ address: ADMIN.overview, title: "Overview", about: "How this server is." }, ...found, ...own];
}

function placeOf(page: api.Page): Place {
  return { address: pageOf(page), title: page.title, about: `A page of the plugin ${page.plugin}.`, plugin: page.plugin };
}

/** The place that the page at `path` belongs to: the longest address of which it is a part. */
export function placeAt(path: string, places: Place[]): Place | null {
  let best: [number, Place] | null = null;
  for (const place of places) {
    for (const address of [place.address, ...(place.also ?? [])]) {
      const part = address === HOME || address === "/console" ? path === address || path === "/console/" : within(path, address);
      if (part && address.length > (best?.[0] ?? -1)) best = [address.length, place];
    }
  }
  return best?.[1] ?? null;
}

const within = (path: string, address: string): boolean => path === address || path.startsWith(`${address}/`);
