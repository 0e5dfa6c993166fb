// Calls to the server: JSON in and out, the CSRF token on what changes something, and errors in words.
import { doubt, DOUBT } from "./doubt";

export class ApiError extends Error {
  constructor(
    readonly status: number,
    readonly code: string,
    message: string,
    readonly body: Record<string, unknown>,
  ) {
    super(message);
  }
}

export interface User {
  id: string;
  /** The whole number that `/api/v1` knows the user by. */
  number: number;
  username: string;
  name: string;
  email: string | null;
  role: string;
  /** Names of what this user may do, `:any` for everybody's objects: for what is offered. The server decides each time. */
  permissions: string[];
}

export interface Plugin {
  name: string;
  mount: string;
}

/** Where one can sign in as well: `name` is of the address, `label` for people. */
export interface Provider {
  name: string;
  label: string;
}

/** A page of a plugin: `module` is the address of its ES module, `mount` where the plugin's routes are. */
export interface Page {
  plugin: string;
  mount: string;
  name: string;
  title: string;
  module: string;
  admin: boolean;
}

export interface State {
  user: User | null;
  setup: boolean;
  /** Characters that a new password has at least. */
  password_min: number;
  providers: Provider[];
  plugins: Plugin[];
  pages: Page[];
}

/** Where a plugin's routes are under this address; null when it does not run here. */
export const mountOf = (state: State, plugin: string): string | null =>
  state.plugins.find(({ name }) => name === plugin)?.mount ?? null;

let csrfToken: string | null = null;
let ahead = 0;
let shortest = 1;

/** Characters that a new password has at least; known once the first state came. */
export const passwordMin = (): number => shortest;

/** Somebody signed out by their own will, here or in another tab. */
export const LEFT = "moorage:left";
/** Another tab changed who is signed in, and the server did not say yet who that is: nothing is sent as somebody else. */
let doubtful = false;
let tabs: BroadcastChannel | null = null;

/** Hear of logins and logouts in other tabs, and tell them of this one's. */
export function followTabs(): void {
  tabs = new BroadcastChannel("moorage-login");
  tabs.onmessage = ({ data }: MessageEvent<unknown>) => {
    csrfToken = null;
    doubtful = true;
    window.dispatchEvent(new Event(data === "left" ? LEFT : DOUBT));
  };
}

/** The server's clock, in milliseconds; this machine's may go wrong. */
export const now = (): number => Date.now() + ahead;

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value);

const FIELDS: Record<string, string> = {
  display_name: "The name",
  email: "The e-mail address",
  name: "The name",
  password: "The password",
  username: "The username",
};

/** Without the kind of error that Octo's dialect begins with, and with words for a field's name. */
function plain(text: string): string {
  const said = text.replace(/^(Bad request|Conflict|Forbidden|Unauthorized|Resource not found): /, "");
  return said.replace(/^[a-z_]+(?= )/, (field) => FIELDS[field] ?? field);
}

/** What a server's error says, whichever of its dialects spelled it. */
function words(status: number, body: Record<string, unknown>, retryAfter: string | null): string {
  const said = body["message"];
  // That a share is used up is told by whoever counts it; the rest is about how often one asks.
  if (status === 429 && !(typeof said === "string" && said.startsWith("You have "))) {
    const seconds = Number(retryAfter) || 60;
    return `Too many attempts. Try again in ${seconds < 120 ? `${seconds} seconds` : `${Math.ceil(seconds / 60)} minutes`}.`;
  }
  for (const key of ["message", "detail", "error", "title"]) {
    const text = body[key];
    if (typeof text === "string" && text) return plain(text);
  }
  if (status === 401) return "You are signed out. Sign in again.";
  if (status === 403) return "You may not do this. Ask an administrator for the right.";
  if (status === 404) return "There is no such thing (any more).";
  if (status >= 500) return "The server cannot do this now. Try again in a moment.";
  return `The server refused (${status}).`;
}

/** The error that an answer tells. */
export async function refused(response: Response): Promise<ApiError> {
  const data: unknown = await response.json().catch(() => ({}));
  const object = isObject(data) ? data : {};
  const code = [object["code"], object["error"]].find((value) => typeof value === "string") as string | undefined;
  if (response.status === 403 && code === "CSRF_INVALID") csrfToken = null;
  return new ApiError(response.status, code ?? "", words(response.status, object, response.headers.get("Retry-After")), object);
}

interface Asked {
  headers?: Record<string, string>;
  body?: BodyInit;
  wait?: number;
  cancel?: AbortSignal;
}

export const CANCELLED = "CANCELLED";

/**
 * Ask for anything; an answer that is no good one is thrown as an `ApiError`. `wait`: milliseconds for all of it, 0: as
 * long as it takes. `cancel` gives it up.
 */
export async function ask(
  method: string,
  path: string,
  { headers = {}, body, wait = 30_000, cancel }: Asked = {},
): Promise<Response> {
  const all: Record<string, string> = { Accept: "application/json", ...headers };
  if (method !== "GET") all["X-CSRF-Token"] = await csrf(path);
  let response: Response;
  try {
    response = await fetch(path, {
      method,
      headers: all,
      credentials: "same-origin",
      ...signalOf(wait, cancel),
      ...(body === undefined ? {} : { body }),
    });
  } catch {
    if (cancel?.aborted) throw new ApiError(0, CANCELLED, "Cancelled.", {});
    throw new ApiError(0, "OFFLINE", "The server does not answer. Check the connection and try again.", {});
  }
  const sent = Date.parse(response.headers.get("Date") ?? "");
  if (!Number.isNaN(sent)) ahead = sent - Date.now();
  if (response.status === 401 || response.status === 403) doubt();
  if (!response.ok) throw await refused(response);
  return response;
}

/** Browsers that do not know `AbortSignal.any` are among those that the page is for. */
function signalOf(wait: number, cancel: AbortSignal | undefined): { signal?: AbortSignal } {
  if (cancel === undefined) return wait > 0 ? { signal: AbortSignal.timeout(wait) } : {};
  if (wait <= 0) return { signal: cancel };
  const both = new AbortController();
  const end = () => both.abort();
  if (cancel.aborted) end();
  cancel.addEventListener("abort", end);
  AbortSignal.timeout(wait).addEventListener("abort", end);
  return { signal: both.signal };
}

async function call<T>(method: string, path: string, body?: unknown, headers: Record<string, string> = {}): Promise<T> {
  const sent = method === "GET" ? {} : { body: JSON.stringify(body ?? {}), headers: { ...headers, "Content-Type": "application/json" } };
  const data: unknown = await (await ask(method, path, sent)).json().catch(() => ({}));
  return data as T;
}

const LOGINS = new Set(["/api/auth/login", "/api/auth/setup", "/api/auth/register", "/auth/register"]);

/** The token that what changes something is sent with, as `X-CSRF-Token`. */
export async function csrf(path: string): Promise<string> {
  if (csrfToken !== null || LOGINS.has(path)) return csrfToken ?? "";
  if (doubtful) throw new ApiError(0, "DOUBT", "Somebody signed in or out in another tab. Reload this page.", {});
  const answer = await call<{ csrf_token: string | null }>("GET", "/api/auth/csrf").catch(() => ({ csrf_token: null }));
  csrfToken = answer.csrf_token;
  return csrfToken ?? "";
}

export const get = <T>(path: string): Promise<T> => call<T>("GET", path);
export const post = <T>(path: string, body?: unknown, headers?: Record<string, string>): Promise<T> =>
  call<T>("POST", path, body, headers);
/** A change that may take so many milliseconds. */
export async function postLong<T>(path: string, wait: number, body: unknown = {}): Promise<T> {
  const answer = await ask("POST", path, { body: JSON.stringify(body), headers: { "Content-Type": "application/json" }, wait });
  return (await answer.json().catch(() => ({}))) as T;
}
export const put = <T>(path: string, body?: unknown): Promise<T> => call<T>("PUT", path, body);
export const patch = <T>(path: string, body?: unknown): Promise<T> => call<T>("PATCH", path, body);
export const remove = <T>(path: string): Promise<T> => call<T>("DELETE", path);

export async function state(): Promise<State> {
  const found = await get<State>("/api/console/state");
  shortest = found.password_min;
  doubtful = false;
  return found;
}

/** Post what a fresh session answers; its CSRF token is used from then on. */
async function begin(path: string, body: unknown): Promise<void> {
  const { csrf_token: token } = await post<{ csrf_token?: string }>(path, body);
  // An answer without one left the session as it was.
  if (token !== undefined) csrfToken = token;
  tabs?.postMessage("came");
}

export async function login(name: string, password: string): Promise<void> {
  csrfToken = null;
  await begin("/api/auth/login", { username: name, password });
}

export async function setup(token: string, username: string, password: string): Promise<void> {
  csrfToken = null;
  await begin("/api/auth/setup", { token, username, password });
}

export async function register(invite: string, username: string, email: string, password: string): Promise<void> {
  csrfToken = null;
  const body = { invite_code: invite, username, password };
  // Octo's registration wants an e-mail address, chat's knows of none.
  await (email ? begin("/api/auth/register", { ...body, email }) : begin("/auth/register", body));
}

export const acceptInvite = (token: string): Promise<void> => begin(`/api/invites/${encodeURIComponent(token)}/accept`, {});

export const changePassword = (current: string, next: string): Promise<void> =>
  begin("/api/core/password", { current_password: current || null, new_password: next });

/** Another is signed in, or nobody: what was known of the session is not true any more. */
export function forget(): void {
  csrfToken = null;
}

export async function logout(): Promise<void> {
  await post("/api/auth/logout");
  forget();
  tabs?.postMessage("left");
  window.dispatchEvent(new Event(LEFT));
}

/** A WebSocket's address beside this page. */
export function socketUrl(path: string): string {
  return `${location.protocol === "https:" ? "wss" : "ws"}://${location.host}${path}`;
}
