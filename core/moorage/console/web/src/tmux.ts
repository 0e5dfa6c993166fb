// What the tmux plugin says of its sessions.
import * as api from "./api";

export interface Claim {
  userId: string;
  userName?: string;
  expiresAt: string;
}

export interface Session {
  id: string;
  name: string;
  windows: number;
  created: string;
  attached: boolean;
  claim: Claim | null;
  viewers?: Viewer[];
  /** The recording that runs. */
  recording?: Running | null;
}

export interface Running {
  id: string;
  startedAt: string;
  /** Null: the server records by itself. */
  by: { id: string; name: string } | null;
  /** What is typed is recorded too. */
  input: boolean;
}

export interface Viewer {
  userId?: string;
  id?: string;
  name: string;
}

/** Names of permissions, as `state.user.permissions` and the sockets' greetings list them. */
export const MAY = {
  view: "tmux:session:view",
  input: "tmux:session:input",
  claim: "tmux:session:claim",
  override: "tmux:claim:override",
  create: "tmux:session:create",
  rename: "tmux:session:rename",
  end: "tmux:session:delete",
  record: "tmux:recording:create",
  replay: "tmux:recording:view",
  erase: "tmux:recording:delete",
} as const;

export const LIST = "/console/terminals";
/** Below it is a terminal's page. */
export const ONE = "/console/terminal/";
export const RECORDINGS = "/console/recordings";
export const pageOf = (id: string): string => ONE + encodeURIComponent(id);
export const mountOf = (state: api.State): string | null => api.mountOf(state, "tmux");

export const sessionPath = (mount: string, id: string): string => `${mount}/api/sessions/${encodeURIComponent(id)}`;

export const list = async (mount: string): Promise<Session[]> =>
  (await api.get<{ sessions: Session[] }>(`${mount}/api/sessions`)).sessions;

export const claim = async (mount: string, id: string): Promise<Claim> =>
  (await api.post<{ claim: Claim }>(`${sessionPath(mount, id)}/claim`)).claim;

export const release = (mount: string, id: string): Promise<unknown> => api.remove(`${sessionPath(mount, id)}/claim`);
