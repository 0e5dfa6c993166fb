// An answer while it is made: what has come of it so far, put together from the events of its stream.
import type { Round, ToolUse, Usage } from "./chats";
import type { StreamEvent } from "./sse";

export interface Fault {
  code: string;
  text: string;
}

const text = (value: unknown): string => (typeof value === "string" ? value : value == null ? "" : JSON.stringify(value));

export class Live {
  /** The generation; "" until the server has told. */
  id: string;
  /** The message that is answered; null: not told. */
  answers: number | null;
  said = "";
  thought = "";
  rounds: Round[] = [];
  /** Tools that cannot be had now, in words. */
  without: string[] = [];
  queued = false;
  usage: Usage | null = null;
  fault: Fault | null = null;
  /** "ok", "error", "canceled" or "interrupted" once it is over. */
  outcome: string | null = null;
  /** The number of the last event. */
  seen = 0;
  /** Somebody here wants it to stop. */
  stopping = false;
  /** The connection is away; the answer goes on meanwhile. */
  away = false;
  /** Begun on this page: the server has still to tell which it is. */
  readonly here: boolean;

  constructor(id: string, answers: number | null) {
    this.here = id === "";
    this.id = id;
    this.answers = answers;
  }

  take({ id, type, data }: StreamEvent): void {
    if (this.id === "") this.id = text(data["generation_id"]);
    // Told once more after the connection broke.
    if (id > 0 && id <= this.seen) return;
    if (id > 0) this.seen = id;
    if (type === "delta") this.said += text(data["delta"]);
    else if (type === "reasoning") this.thought += text(data["reasoning"]);
    else if (type === "status") this.status(data);
    else if (type === "usage") this.usage = data["usage"] as Usage;
    else if (type === "tool_call") this.call(data);
    else if (type === "tool_result") this.result(data);
    else if (type === "error") this.fault = { code: text(data["code"]), text: text(data["message"]) };
    else if (type === "done") this.outcome = text(data["status"]);
    if (type === "delta" || type === "reasoning") this.queued = false;
  }

  private status(data: Record<string, unknown>): void {
    this.queued = data["status"] === "queued";
    const away = Array.isArray(data["unavailable"]) ? (data["unavailable"] as { label: string; message: string }[]) : [];
    this.without.push(...away.map(({ label, message }) => `${label}: ${message}`));
  }

  /** Calls between which nothing was said belong to one round. */
  private call(data: Record<string, unknown>): void {
    const call: ToolUse = { id: text(data["id"]), tool: text(data["tool"]), arguments: data["arguments"], text: null, is_error: false };
    const last = this.rounds.at(-1);
    if (last?.until === this.said.length && last.calls.some((other) => other.text === null)) last.calls.push(call);
    else this.rounds.push({ until: this.said.length, calls: [call] });
  }

  private result(data: Record<string, unknown>): void {
    const call = this.rounds.flatMap(({ calls }) => calls).find(({ id }) => id === data["id"]);
    if (call === undefined) return;
    call.text = text(data["text"]);
    call.is_error = data["is_error"] === true;
  }
}
