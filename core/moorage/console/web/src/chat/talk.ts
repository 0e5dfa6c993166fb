// One conversation as it is at every moment: its messages, what is being said in it, and the answer that is being made.
//
// An answer belongs to the server: it goes on when nobody looks, any tab can follow it from any event on, and stop it.
// So a lost connection, a reload and a second tab are one and the same case here: ask how it is, and read on.
import { useEffect, useReducer, useState } from "preact/hooks";
import { ApiError } from "../api";
import { words } from "../forms";
import * as chats from "./chats";
import { type Fault, Live } from "./live";
import { events } from "./sse";
import { grow, path, type Tree } from "./tree";

/** How often another tab's doings are looked for, in milliseconds; tabs of one browser tell each other. */
const LOOK_EVERY = 10_000;
/** So often at most the page is drawn while an answer comes, in milliseconds. */
const DRAW_EVERY = 60;
const FIRST_PAUSE = 500;
const LONGEST_PAUSE = 10_000;

/** What tabs of one browser tell each other: the number of the conversation in which something happened. */
const tabs = typeof BroadcastChannel === "undefined" ? null : new BroadcastChannel("moorage-chat");
const NEWS = "moorage-chat-news";

/** Tell every list and every other tab that a conversation is not what it was. */
export function tell(id: number): void {
  tabs?.postMessage(id);
  window.dispatchEvent(new CustomEvent(NEWS, { detail: id }));
}

/** Hear of all conversations in which something happens, here and in other tabs. */
export function hear(heard: (id: number) => void): () => void {
  const there = (event: MessageEvent<unknown>) => heard(Number(event.data));
  const here = (event: Event) => heard(Number((event as CustomEvent<unknown>).detail));
  tabs?.addEventListener("message", there);
  window.addEventListener(NEWS, here);
  return () => {
    tabs?.removeEventListener("message", there);
    window.removeEventListener(NEWS, here);
  };
}

/** What was just sent and is in no list yet. */
interface Sending {
  content: string;
  /** The message whose place it takes. */
  editOf: number | null;
  /** Known once it is stored. */
  id: number | null;
}

export class Talk {
  conversation: chats.Conversation | null = null;
  tree: Tree = grow([]);
  live: Live | null = null;
  sending: Sending | null = null;
  /** Why the newest message has no whole answer. */
  fault: Fault | null = null;
  /** Why it cannot be read. */
  problem: string | null = null;
  missing = false;
  private all: chats.Message[] = [];
  private readonly watchers = new Set<() => void>();
  private readonly gone = new AbortController();
  private timer = 0;
  private drawing = 0;
  private looking: Promise<void> | null = null;
  /** The key of what could not be sent, kept for the same text: it may have arrived. */
  private unsent: { content: string; key: string } | null = null;

  constructor(
    private readonly mount: string,
    readonly id: number,
    private readonly refresh: () => Promise<void>,
  ) {
    this.timer = window.setInterval(() => {
      if (document.visibilityState !== "hidden") void this.look();
    }, LOOK_EVERY);
    document.addEventListener("visibilitychange", this.seen);
    tabs?.addEventListener("message", this.told);
    void this.look();
  }

  watch(watcher: () => void): () => void {
    this.watchers.add(watcher);
    return () => this.watchers.delete(watcher);
  }

  end(): void {
    clearInterval(this.timer);
    clearTimeout(this.drawing);
    document.removeEventListener("visibilitychange", this.seen);
    tabs?.removeEventListener("message", this.told);
    this.gone.abort();
    this.watchers.clear();
  }

  /** The answer that is being made. */
  get answering(): Live | null {
    return this.live;
  }

  /** The branch that is shown, as far as it is stored. */
  get shown(): chats.Message[] {
    if (this.live?.answers != null && this.tree.byId.has(this.live.answers)) return path(this.tree, this.live.answers);
    if (this.sending !== null && this.sending.editOf !== null) {
      return path(this.tree, this.tree.byId.get(this.sending.editOf)?.parent_id ?? null);
    }
    const head = this.conversation?.head_id ?? null;
    // The head may be an answer that is being made, which is in no list.
    return path(this.tree, head !== null && this.tree.byId.has(head) ? head : (this.all.at(-1)?.id ?? null));
  }

  /** Say something; in place of the message `editOf`, where it is given. Once it is stored, the model begins to answer. */
  async send(content: string, options: chats.GenerationOptions, editOf: number | null = null): Promise<void> {
    if (this.unsent?.content !== content) this.unsent = { content, key: chats.newKey() };
    this.sending = { content, editOf, id: null };
    this.draw();
    try {
      const { message_id: id } = await chats.append(this.mount, this.id, content, this.unsent.key, editOf ?? undefined);
      this.sending = { content, editOf, id };
      void this.answer(options, id);
    } catch (error) {
      this.sending = null;
      this.draw();
      throw error;
    }
    this.unsent = null;
  }

  /** Answer what was said last once more. The answer that there is stays, as another branch. */
  async again(options: chats.GenerationOptions): Promise<void> {
    const { message_id: id } = await chats.retry(this.mount, this.id, options);
    void this.answer(options, id);
  }

  /** Let the model answer the newest message, or the one that was just stored. What is refused is told as `fault`. */
  async answer(options: chats.GenerationOptions, to: number | null = null): Promise<void> {
    this.fault = null;
    const live = new Live("", to ?? this.shown.at(-1)?.id ?? null);
    this.live = live;
    this.draw();
    const read = to === null ? null : this.sync();
    try {
      const response = await chats.stream(this.mount, this.id, options, chats.newKey(), this.gone.signal);
      live.id = response.headers.get("X-Generation-Id") ?? "";
      void this.listen(live, response);
    } catch (error) {
      this.live = null;
      // Somebody else was quicker, or it began and the connection broke: that answer is shown.
      const maybe = error instanceof ApiError && (error.code === "GENERATION_IN_PROGRESS" || error.status === 0);
      if (maybe) await this.join().catch(() => undefined);
      if (this.answering === null) this.fault = { code: error instanceof ApiError ? error.code : "", text: words(error) };
      this.draw();
    }
    await read;
    tell(this.id);
  }

  /** Stop the answer. What has come of it stays. */
  async stop(): Promise<void> {
    const live = this.live;
    if (live === null || live.id === "") return;
    live.stopping = true;
    this.draw();
    try {
      await chats.stop(this.mount, live.id);
    } catch (error) {
      live.stopping = false;
      this.draw();
      // It came to its end meanwhile.
      if (!(error instanceof ApiError && error.status === 404)) throw error;
    }
  }

  /** Show the branch that goes through `message`. */
  async choose(message: number): Promise<void> {
    await chats.setHead(this.mount, this.id, message);
    this.fault = null;
    await this.look();
    tell(this.id);
  }

  async rename(title: string): Promise<void> {
    await chats.rename(this.mount, this.id, title);
    await this.look();
    tell(this.id);
  }

  /** Ask how it is. `anew`: all messages, not just those that came. */
  look(anew = false): Promise<void> {
    if (this.looking !== null && !anew) return this.looking;
    const asked = this.ask(anew).finally(() => {
      if (this.looking === asked) this.looking = null;
    });
    this.looking = asked;
    return asked;
  }

  private async ask(anew: boolean): Promise<void> {
    try {
      const before = this.conversation;
      const conversation = await chats.read(this.mount, this.id);
      const changed = before === null || before.updated_at !== conversation.updated_at || before.head_id !== conversation.head_id;
      if (anew || changed) await this.fetch(anew || before === null ? 0 : (this.all.at(-1)?.seq ?? 0));
      this.conversation = conversation;
      this.problem = null;
      // Models think of titles when the answer is told already.
      if (before !== null && before.title !== conversation.title) window.dispatchEvent(new CustomEvent(NEWS, { detail: this.id }));
      const head = conversation.head_id;
      if (this.live === null && this.sending === null && head !== null && !this.tree.byId.has(head)) await this.join();
      else if (before === null) await this.why();
    } catch (error) {
      if (error instanceof ApiError && error.status === 401) void this.refresh();
      if (error instanceof ApiError && error.status === 404) this.missing = true;
      this.problem = words(error);
    }
    this.draw();
  }

  /** The head is no message that is listed: an answer is being made, or it has just come to its end. */
  private async join(): Promise<void> {
    const generation = await chats.active(this.mount, this.id);
    if (generation === null) {
      await this.fetch(0);
      const conversation = await chats.read(this.mount, this.id);
      this.conversation = conversation;
      return;
    }
    // The answer's own message is in no list, but what comes before it on its branch is what it answers.
    const before = generation.message_id ?? Infinity;
    const answered = (await chats.branch(this.mount, this.id)).filter(({ id }) => id < before).at(-1);
    if (this.live !== null) return;
    const live = new Live(generation.generation_id, answered?.id ?? null);
    this.live = live;
    void this.listen(live, null);
  }

  /** What went wrong with the last answer, where the newest message has none. */
  private async why(): Promise<void> {
    const newest = this.shown.at(-1);
    if (this.live !== null || newest?.role !== "user") return;
    const [last] = await chats.generations(this.mount, this.id);
    if (last?.error && last.message_id === undefined && last.started_at > newest.created_at) {
      this.fault = { code: last.error.code, text: last.error.message };
    }
  }

  /** Read what was stored since. */
  private async sync(): Promise<void> {
    try {
      // The conversation too: it may be called after what was said.
      const [, conversation] = await Promise.all([this.fetch(this.all.at(-1)?.seq ?? 0), chats.read(this.mount, this.id)]);
      this.conversation = conversation;
    } catch {
      // The next look finds it.
    }
    this.sending = null;
    this.draw();
  }

  private async fetch(after: number): Promise<void> {
    const found = await chats.messages(this.mount, this.id, after);
    // Put together, not replaced: of two questions, the earlier one's answer may come last.
    const newer = new Set(found.map(({ id }) => id));
    this.all = [...this.all.filter(({ id }) => !newer.has(id)), ...found].sort((a, b) => a.seq - b.seq);
    this.tree = grow(this.all);
  }

  /** Read an answer's events to the last one, over as many connections as it takes. */
  private async listen(live: Live, response: Response | null): Promise<void> {
    let pause = FIRST_PAUSE;
    let stream = response;
    while (live.outcome === null && !this.gone.signal.aborted) {
      try {
        stream ??= await chats.follow(this.mount, live.id, live.seen, this.gone.signal);
        live.away = false;
        // All is told already.
        if (stream.status === 204) break;
        for await (const event of events(stream)) {
          live.take(event);
          pause = FIRST_PAUSE;
          this.drawSoon();
        }
      } catch (error) {
        if (error instanceof ApiError && error.status >= 400 && error.status < 500 && error.status !== 429) break;
      }
      stream = null;
      if (live.outcome !== null || live.id === "" || this.gone.signal.aborted) break;
      live.away = true;
      this.drawSoon();
      await waited(pause, this.gone.signal);
      pause = Math.min(pause * 2, LONGEST_PAUSE);
    }
    await this.settle(live);
  }

  /** Read what is stored of an answer that is over; until that goes well, what has come is shown. */
  private async settle(live: Live): Promise<void> {
    const answered = live.answers === null ? undefined : this.tree.byId.get(live.answers);
    for (let pause = FIRST_PAUSE; !this.gone.signal.aborted; pause = Math.min(pause * 2, LONGEST_PAUSE)) {
      try {
        await this.fetch(answered?.seq ?? 0);
        this.conversation = await chats.read(this.mount, this.id);
        break;
      } catch (error) {
        if (error instanceof ApiError && error.status >= 400 && error.status < 500 && error.status !== 429) {
          void this.look(true);
          break;
        }
        await waited(pause, this.gone.signal);
      }
    }
    if (this.gone.signal.aborted) return;
    if (this.live === live) this.live = null;
    this.fault = live.fault;
    this.draw();
    tell(this.id);
  }

  private readonly seen = (): void => {
    if (document.visibilityState !== "hidden") void this.look();
  };

  private readonly told = (event: MessageEvent<unknown>): void => {
    if (event.data === this.id) void this.look();
  };

  private drawSoon(): void {
    this.drawing ||= window.setTimeout(() => this.draw(), DRAW_EVERY);
  }

  private draw(): void {
    clearTimeout(this.drawing);
    this.drawing = 0;
    for (const watcher of this.watchers) watcher();
  }
}

/** Some time, or less where the connection is said to be back; at once when it is given up. */
function waited(milliseconds: number, given: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      clearTimeout(timer);
      window.removeEventListener("online", done);
      given.removeEventListener("abort", done);
      resolve();
    };
    // A random part keeps the pages of a restarted server from all coming back in the same moment.
    const timer = setTimeout(done, milliseconds * (0.5 + Math.random()));
    window.addEventListener("online", done);
    given.addEventListener("abort", done);
  });
}

/** Conversations that were begun on the page of a new one, with what is being said in them. */
const begun = new Map<number, Talk>();

/** Hand a conversation over to the page that will show it. */
export function keep(talk: Talk): void {
  begun.set(talk.id, talk);
}

/** A conversation, for as long as the component is there. */
export function useTalk(mount: string, id: number, refresh: () => Promise<void>): Talk {
  const [talk] = useState(() => {
    const found = begun.get(id) ?? new Talk(mount, id, refresh);
    begun.delete(id);
    return found;
  });
  const [, drawn] = useReducer((count: number) => count + 1, 0);
  useEffect(() => {
    const unwatch = talk.watch(() => drawn(undefined));
    drawn(undefined);
    return () => {
      unwatch();
      talk.end();
    };
  }, [talk]);
  return talk;
}
