// A shared session as this page knows it: one socket, a subscription for each pane that is shown, and what is told.
import * as api from "../api";
import { Live, type Phase } from "../live";
import * as tmux from "../tmux";
import { Outgoing } from "./outgoing";
import * as types from "./types";

export interface State {
  /** The session's present name. */
  name: string;
  phase: Phase;
  /** Seconds until the next attempt, while there is no connection. */
  pause: number;
  /** Why there is nothing more to see. */
  ended: string | null;
  claim: tmux.Claim | null;
  people: types.Person[];
  windows: types.Window[];
  /** The window that this page looks at; null: the one that is active. */
  chosen: string | null;
  recording: tmux.Running | null;
  /** Names of what the user may do: for what is offered. The server decides each time. */
  permissions: ReadonlySet<string>;
  /** Those who ask the holder, which is this user, for control. */
  askers: types.Person[];
  notice: Notice | null;
  /** An operator switched the terminals off: the connection comes back when they are on again. */
  off: boolean;
}

interface Notice {
  text: string;
  /** Something went wrong, or nothing was done. */
  bad: boolean;
}

/** Where a pane's output goes. */
export interface Sink {
  /** `done` is called once it is drawn. */
  write: (data: string, done: () => void) => void;
  resize: (cols: number, rows: number) => void;
}

interface Attached {
  sink: Sink;
  /** The position in the pane's stream up to which it was shown. */
  seen: number | null;
  /** Characters that the emulator has not drawn yet. */
  pending: number;
  /** It has too many of them: what comes is left out, and the screen as it is follows. */
  behind: boolean;
}

/** Characters that may wait for the emulator: it is slow in a tab that nobody sees, and loses what is beyond its own bound. */
const MOST_PENDING = 8 * 1024 * 1024;

interface SharedOptions {
  mount: string;
  name: string;
  me: string;
  permissions: string[];
  onState: (state: State) => void;
  onRenamed: (name: string) => void;
  /** The server says that one is signed out, or may do other things: ask again. */
  onDoubt: () => void;
}

type Message = Record<string, unknown>;

export class Shared {
  state: State;
  private readonly panes = new Map<string, Attached>();
  private readonly live: Live;
  private readonly outgoing: Outgoing;
  private looking = false;
  /** How many layouts the socket has told. */
  private layouts = 0;
  /** Somebody is about to take over from this page's user. */
  private overridden = false;
  private gone = false;

  constructor(private readonly options: SharedOptions) {
    this.state = {
      name: options.name,
      phase: "connecting",
      pause: 0,
      ended: null,
      claim: null,
      people: [],
      windows: [],
      chosen: null,
      recording: null,
      permissions: new Set(options.permissions),
      askers: [],
      notice: null,
      off: false,
    };
    this.outgoing = new Outgoing((pane, keys) => this.send({ type: "sendKeys", pane, keys, raw: true }));
    this.live = new Live({
      url: () => api.socketUrl(`${options.mount}/ws`),
      onMessage: (message) => this.receive(message),
      onPhase: (phase, pause) => this.phase(phase, pause),
      onClose: (code, reason) => this.closed(code, reason),
    });
    void this.look();
  }

  /** Nothing is told after this. */
  dispose(): void {
    this.gone = true;
    this.outgoing.drop();
    this.live.end();
  }

  /** Try the connection now, where it waits: its plugin is there again. */
  hurry(): void {
    this.live.hurry();
  }

  // What the page does.

  get mine(): boolean {
    return this.state.claim?.userId === this.options.me;
  }

  may(permission: string): boolean {
    return this.state.permissions.has(permission);
  }

  notice(text: string | null, bad = true): void {
    this.set({ notice: text === null ? null : { text, bad } });
  }

  /** Show a pane: its output goes to the sink until `detach`. */
  attach(pane: string, sink: Sink): void {
    this.panes.set(pane, { sink, seen: null, pending: 0, behind: false });
    this.subscribe(pane);
  }

  detach(pane: string): void {
    if (this.panes.delete(pane)) this.send({ type: "unsubscribe", pane });
  }

  /** Look at a window; null goes along with the session. */
  choose(window: string | null): void {
    const active = this.state.windows.find((each) => each.active);
    this.set({ chosen: window === active?.id ? null : window });
  }

  type(pane: string, keys: string): void {
    if (this.outgoing.put(pane, keys)) return;
    this.notice("There is no connection: what you type is not sent.");
  }

  resize(cols: number, rows: number): void {
    this.send({ type: "resize", cols, rows });
  }

  decline(asker: types.Person): void {
    this.send({ type: "declineControl", userId: asker.id });
    this.forget(asker.id);
  }

  /** Who left asks for nothing any more. */
  private here(people: types.Person[]): void {
    this.set({ people, askers: this.state.askers.filter((asker) => people.some((each) => each.id === asker.id)) });
  }

  private forget(asker: string): void {
    this.set({ askers: this.state.askers.filter((each) => each.id !== asker) });
  }

  // What an answer says may be outdated when it arrives; the socket tells what is, in order. So answers change nothing.

  /** Take control, or keep it for another lease. */
  readonly take = (): Promise<boolean> =>
    this.attempt(async () => {
      await tmux.claim(this.options.mount, this.state.name);
      this.notice(null);
    });

  readonly release = (): Promise<boolean> =>
    this.attempt(async () => {
      await tmux.release(this.options.mount, this.state.name);
      this.notice(null);
    });

  /** A call about this session, whose failure is a notice. `path` begins after the session's own. */
  call(method: "post" | "patch" | "remove", path: string, body?: unknown): Promise<boolean> {
    return this.attempt(async () => {
      const url = `${tmux.sessionPath(this.options.mount, this.state.name)}${path}`;
      await (method === "remove" ? api.remove(url) : api[method](url, body));
    });
  }

  private async attempt(work: () => Promise<void>): Promise<boolean> {
    try {
      await work();
      return true;
    } catch (error) {
      if (error instanceof api.ApiError && error.status === 401) this.options.onDoubt();
      this.notice(error instanceof Error ? error.message : String(error));
      return false;
    }
  }

  // What the connection does.

  private set(change: Partial<State>): void {
    if (this.gone) return;
    this.state = { ...this.state, ...change };
    this.options.onState(this.state);
  }

  private send(message: Message): boolean {
    return this.live.send({ sessionId: this.state.name, ...message });
  }

  private subscribe(pane: string): void {
    const since = this.panes.get(pane)?.seen;
    this.send({ type: "subscribe", pane, ...(typeof since === "number" ? { since } : {}) });
  }

  private phase(phase: Phase, pause: number): void {
    // The constructor of the connection tells the first one before anybody can listen.
    if (this.live === undefined || this.state.ended !== null) return;
    this.set(phase === "open" ? { phase, pause, off: false } : { phase, pause });
    if (phase === "open") {
      for (const [id, pane] of this.panes) if (!pane.behind) this.subscribe(id);
    }
    if (phase === "waiting") {
      this.outgoing.drop();
      // A handshake that is refused looks like a lost connection; a question is answered with the reason.
      void this.look();
    }
  }

  private closed(code: number, reason: string): boolean {
    if (code === 4001) this.options.onDoubt();
    if (code === 1001 && reason === "Plugin disabled") this.set({ off: true });
    const text = endText(code, reason);
    if (text !== null) this.set({ ended: text });
    return text !== null;
  }

  /** Learn which windows and panes there are; the server tells by itself only those who see one of them. */
  private async look(): Promise<void> {
    if (this.looking) return;
    this.looking = true;
    const before = this.layouts;
    try {
      const found = await api.get<Message>(tmux.sessionPath(this.options.mount, this.state.name));
      // Unless the socket told meanwhile.
      if (before === this.layouts) this.arrange(types.windowsOf(found["windows"]));
    } catch (error) {
      // A plugin that is off or restarted has no such path either, but may have it again.
      const details = error instanceof api.ApiError ? (error.body["details"] as Message | undefined) : undefined;
      if (details?.["code"] === "SESSION_NOT_FOUND") this.end(GONE);
      else if (error instanceof api.ApiError && error.status === 401) this.options.onDoubt();
      else if (error instanceof api.ApiError && error.status === 403) this.end(error.message);
      // Else the connection is in doubt too, and looks again when it is back.
    } finally {
      this.looking = false;
    }
  }

  private end(text: string): void {
    this.set({ ended: text });
    this.live.end();
  }

  private arrange(windows: types.Window[]): void {
    const { chosen } = this.state;
    const there = windows.find((window) => window.id === chosen);
    this.set({ windows, chosen: there && !there.active ? chosen : null });
  }

  // What the server tells.

  private receive(message: Message): void {
    const kind = message["type"];
    if (message["sessionId"] === this.state.name) this.ofSession(kind, message);
    else if (kind === "connected" || kind === "permissions") {
      const names = message["permissions"];
      if (Array.isArray(names)) this.set({ permissions: new Set(names.filter((name) => typeof name === "string")) });
      if (kind === "permissions") this.options.onDoubt();
    } else if (kind === "sessions") this.listed(message["sessions"]);
    else if (kind === "error" && message["sessionId"] === undefined) this.refused(message);
  }

  private listed(sessions: unknown): void {
    if (!Array.isArray(sessions)) return;
    const entry = (sessions as Message[]).find((each) => each["name"] === this.state.name);
    if (!entry) {
      void this.look();
      return;
    }
    this.set({
      claim: types.claimOf(entry["claim"]),
      people: types.people(entry["viewers"]),
      recording: types.recordingOf(entry["recording"]),
    });
    if (this.state.windows.length === 0) void this.look();
  }

  private ofSession(kind: unknown, message: Message): void {
    switch (kind) {
      case "output":
        this.output(message);
        break;
      case "layout":
        this.layouts += 1;
        this.arrange(types.windowsOf(message["windows"]));
        break;
      case "claimed": {
        const by = types.person(message["by"]);
        if (by && this.overridden) this.notice(`${by.name} took control.`);
        this.overridden = false;
        if (by) this.set({ claim: { userId: by.id, userName: by.name, expiresAt: String(message["expiresAt"]) } });
        if (!this.mine) this.set({ askers: [] });
        break;
      }
      case "released":
        // By whom comes with the claim that follows.
        this.overridden = this.mine && message["reason"] === "overridden";
        if (this.mine && message["reason"] === "expired") this.notice("Your control ended: nothing was typed for a while.");
        this.set({ claim: null, askers: [] });
        break;
      case "presence":
        this.here(types.people(message["users"]));
        break;
      case "recording":
        this.set({ recording: types.recordingOf(message["recording"]) });
        break;
      case "controlRequested": {
        const by = types.person(message["by"]);
        if (by && by.id !== this.options.me) {
          this.set({ askers: [...this.state.askers.filter((each) => each.id !== by.id), by] });
        } else if (by) this.notice(`You asked ${this.state.claim?.userName || "the holder"} for control.`, false);
        break;
      }
      case "controlDeclined":
        if (this.mine) this.forget(String(message["userId"]));
        else this.notice(`${types.person(message["by"])?.name ?? "The holder"} keeps control for now.`, false);
        break;
      case "sessionRenamed":
        this.set({ name: String(message["name"]) });
        this.options.onRenamed(this.state.name);
        break;
      case "sessionDestroyed":
        this.end(GONE);
        break;
      case "error":
        this.refused(message);
    }
  }

  private output(message: Message): void {
    const id = String(message["paneId"]);
    const pane = this.panes.get(id);
    if (!pane || pane.behind) return;
    const { cols, rows, data, seq } = message;
    if (typeof cols === "number" && typeof rows === "number") pane.sink.resize(cols, rows);
    if (typeof seq === "number") pane.seen = seq;
    if (typeof data !== "string") return;
    pane.pending += data.length;
    pane.sink.write(data, () => {
      pane.pending -= data.length;
      if (pane.pending === 0 && pane.behind && this.panes.get(id) === pane) this.catchUp(id, pane);
    });
    if (pane.pending > MOST_PENDING) {
      pane.behind = true;
      this.send({ type: "unsubscribe", pane: id });
    }
  }

  private catchUp(id: string, pane: Attached): void {
    pane.behind = false;
    pane.seen = null;
    this.subscribe(id);
  }

  /** A pane that ended takes its subscription along, and what is left is found out; one that did not is tried again. */
  private lost(pane: unknown): void {
    void this.look();
    if (typeof pane !== "string" || !this.panes.has(pane)) return;
    window.setTimeout(() => {
      if (!this.gone && this.panes.has(pane)) this.subscribe(pane);
    }, RETRY);
  }

  private refused(message: Message): void {
    const code = message["code"];
    if (code === "SESSION_NOT_FOUND") this.lost(message["pane"]);
    else if (code === "RATE_LIMITED") {
      const seconds = Math.max(1, Math.ceil(Number(message["retryAfter"]) || 1));
      this.notice(`That was too much at once: some of it was not sent. Wait ${seconds === 1 ? "a second" : `${seconds} seconds`}.`);
    } else this.notice(String(message["message"]));
  }
}

const RETRY = 1_000;
const GONE = "This session does not exist, or has ended.";

/** Why a close is final; null when it is worth trying again. */
function endText(code: number, reason: string): string | null {
  if (code === 4001) return "You were signed out.";
  if (code === 4003) return reason || "You may not see this terminal any more.";
  if (code === 4004) return GONE;
  return null;
}
