// A WebSocket that comes back: growing pauses, at once when the network or the tab returns.
import { doubt } from "./doubt";

export type Phase = "connecting" | "open" | "waiting" | "ended";

interface LiveOptions {
  /** The address of the next attempt; asked each time, so that it can say where to resume. */
  url: () => string;
  onMessage: (message: Record<string, unknown>) => void;
  onPhase: (phase: Phase, seconds: number) => void;
  /** True when a close with this code is final. */
  onClose: (code: number, reason: string) => boolean;
}

const FIRST_PAUSE = 500;
const LONGEST_PAUSE = 15_000;

export class Live {
  private socket: WebSocket | null = null;
  private pause = FIRST_PAUSE;
  private timer = 0;
  private ended = false;
  private lost = false;

  constructor(private readonly options: LiveOptions) {
    window.addEventListener("online", this.hurry);
    document.addEventListener("visibilitychange", this.hurry);
    this.open();
  }

  /** False when there is no connection: the message was not sent. */
  send(message: Record<string, unknown>): boolean {
    if (this.socket?.readyState !== WebSocket.OPEN) return false;
    this.socket.send(JSON.stringify(message));
    return true;
  }

  end(): void {
    this.ended = true;
    window.removeEventListener("online", this.hurry);
    document.removeEventListener("visibilitychange", this.hurry);
    clearTimeout(this.timer);
    this.socket?.close(1000);
    this.options.onPhase("ended", 0);
  }

  readonly hurry = (): void => {
    if (this.timer === 0 || this.ended || document.visibilityState === "hidden") return;
    clearTimeout(this.timer);
    this.open();
  };

  private open(): void {
    this.timer = 0;
    this.options.onPhase("connecting", 0);
    const socket = new WebSocket(this.options.url());
    this.socket = socket;
    // No heartbeats: a hidden tab's timers all but stop, and the server's pings are answered by the browser itself.
    socket.onopen = () => {
      // A plugin that was away is back.
      if (this.lost) doubt();
      this.lost = false;
      this.options.onPhase("open", 0);
    };
    socket.onmessage = (event: MessageEvent<unknown>) => {
      if (typeof event.data !== "string") return;
      this.pause = FIRST_PAUSE;
      this.options.onMessage(JSON.parse(event.data) as Record<string, unknown>);
    };
    socket.onclose = (event) => {
      if (this.socket !== socket || this.ended) return;
      // Not a broken connection: the server ended it, and may have said something new of what one may do.
      if (event.code === 1001 || event.code >= 4000) {
        this.lost = true;
        doubt();
      }
      if (this.options.onClose(event.code, event.reason)) this.end();
      else this.wait();
    };
  }

  private wait(): void {
    // A random part keeps the pages of a restarted server from all coming back in the same moment.
    const pause = this.pause * (0.5 + Math.random());
    this.pause = Math.min(this.pause * 2, LONGEST_PAUSE);
    this.options.onPhase("waiting", Math.ceil(pause / 1000));
    this.timer = window.setTimeout(() => this.open(), pause);
  }
}
