// All of one's conversations, newest first, and the search in what was said in them.
import { Fragment, type JSX } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { ApiError } from "../api";
import { Problem, useTask, words } from "../forms";
import { go, usePath } from "../router";
import { Trouble } from "../shell/trouble";
import { ago, full } from "../time";
import * as chats from "./chats";
import type { ChatProps } from "./page";
import { LIST, MAY, pageOf, USAGE } from "./place";
import { hear, tell } from "./talk";

/** How often the list is asked for again, in milliseconds: other browsers say nothing to this one. */
const ASK_EVERY = 30_000;
/** Typing is searched for when it rests for so long, in milliseconds. */
const REST = 250;

export function List(props: ChatProps & { open: number | null }): JSX.Element {
  const { mount, state, refresh } = props;
  const { found, problem, more, again } = useConversations(mount, refresh);
  const [query, setQuery] = useState("");
  const list = useRef<HTMLElement>(null);
  const field = useRef<HTMLInputElement>(null);
  const path = usePath();
  const may = (permission: string) => state.user.permissions.includes(permission);
  useKeys(field, may(MAY.write));
  // On a phone the list is the page.
  const Heading = path === LIST ? "h1" : "h2";
  const q = query.trim();
  return (
    <nav class="conversations" aria-label="Conversations" ref={list} onKeyDown={(event) => walk(event, list.current)}>
      <div class="heading">
        <Heading>Conversations</Heading>
        {may(MAY.write) && (
          <a class="button" href={`${LIST}/new`} aria-keyshortcuts="n" aria-current={path === `${LIST}/new` ? "page" : undefined}>
            New
          </a>
        )}
      </div>
      <input
        type="search"
        ref={field}
        value={query}
        placeholder="Search"
        aria-label="Search conversations"
        aria-keyshortcuts="/"
        onInput={(event) => setQuery(event.currentTarget.value)}
        onKeyDown={(event) => {
          if (event.key === "Escape") setQuery("");
        }}
      />
      <div class="rest">
        {problem !== null && <Trouble text={problem} retry={again} />}
        {q !== "" ? (
          <Results mount={mount} q={q} />
        ) : found === null ? (
          problem === null && <p class="loading">Loading…</p>
        ) : found.list.length === 0 ? (
          <p class="empty">You have no conversations yet.</p>
        ) : (
          <>
            <ul>
              {found.list.map((conversation) => (
                <li key={conversation.id}>
                  <a class="card" href={pageOf(conversation.id)} aria-current={conversation.id === props.open ? "page" : undefined}>
                    <strong>{conversation.title}</strong>
                    <time title={full(chats.utc(conversation.updated_at))}>{ago(chats.utc(conversation.updated_at))}</time>
                  </a>
                </li>
              ))}
            </ul>
            {found.more && (
              <button type="button" class="quiet" onClick={() => void more()}>
                Older ones
              </button>
            )}
          </>
        )}
      </div>
      <div class="foot">
        {may(MAY.usage) && (
          <a href={USAGE} aria-current={path === USAGE ? "page" : undefined}>
            Usage
          </a>
        )}
        {found !== null && found.list.length > 0 && (
          <a href={chats.exportAll(mount)} download>
            Export all
          </a>
        )}
        {may(MAY.write) && <BringIn {...props} />}
      </div>
    </nav>
  );
}

interface Conversations {
  list: chats.Conversation[];
  /** Whether there are older ones. */
  more: boolean;
}

function useConversations(mount: string, refresh: () => Promise<void>) {
  const [found, setFound] = useState<Conversations | null>(null);
  const [problem, setProblem] = useState<string | null>(null);
  const pages = useRef(1);
  const asked = useRef(0);
  const again = async () => {
    const mine = ++asked.current;
    try {
      const list: chats.Conversation[] = [];
      let more = true;
      for (let page = 0; page < pages.current && more; page += 1) {
        const some = await chats.list(mount, page * chats.PAGE);
        // One that was pushed down meanwhile comes twice.
        list.push(...some.filter((one) => !list.some(({ id }) => id === one.id)));
        more = some.length === chats.PAGE;
      }
      if (mine !== asked.current) return;
      setFound({ list, more });
      setProblem(null);
    } catch (error) {
      if (mine !== asked.current) return;
      if (error instanceof ApiError && error.status === 401) void refresh();
      setProblem(words(error));
    }
  };
  useEffect(() => {
    void again();
    const unhear = hear(() => void again());
    const timer = setInterval(() => {
      if (document.visibilityState !== "hidden") void again();
    }, ASK_EVERY);
    return () => {
      asked.current = Infinity;
      unhear();
      clearInterval(timer);
    };
  }, [mount]);
  const more = () => {
    pages.current += 1;
    return again();
  };
  return { found, problem, more, again };
}

function Results({ mount, q }: { mount: string; q: string }): JSX.Element {
  const [found, setFound] = useState<chats.Found[] | null>(null);
  const [problem, setProblem] = useState<string | null>(null);
  useEffect(() => {
    let gone = false;
    const timer = setTimeout(() => {
      chats.search(mount, q).then(
        (answer) => {
          if (gone) return;
          setFound(answer);
          setProblem(null);
        },
        (error: unknown) => {
          if (!gone) setProblem(words(error));
        },
      );
    }, REST);
    return () => {
      gone = true;
      clearTimeout(timer);
    };
  }, [mount, q]);
  return (
    <>
      <Problem text={problem} />
      <p class="hint" role="status">
        {found === null ? "Searching…" : found.length === 0 ? "Nothing was found." : found.length === 1 ? "Found once" : `Found ${found.length} times`}
      </p>
      <ul>
        {(found ?? []).map((one) => (
          <li key={`${one.conversation_id} ${one.message_id}`}>
            <a class="card" href={one.message_id === null ? pageOf(one.conversation_id) : `${pageOf(one.conversation_id)}?at=${one.message_id}`}>
              <strong>{one.title}</strong>
              {one.snippet !== "" && <Marked {...one} />}
            </a>
          </li>
        ))}
      </ul>
    </>
  );
}

/** The words that were searched for stand out. */
function Marked({ snippet, marks }: chats.Found): JSX.Element {
  const letters = Array.from(snippet);
  const part = (from: number, to?: number) => letters.slice(from, to).join("");
  const ends = [0, ...marks.map(([, end]) => end)];
  return (
    <span>
      {marks.map(([start, end], index) => (
        <Fragment key={start}>
          {part(ends[index] ?? 0, start)}
          <mark>{part(start, end)}</mark>
        </Fragment>
      ))}
      {part(ends.at(-1) ?? 0)}
    </span>
  );
}

/** Conversations of a file that was exported here or elsewhere. */
function BringIn({ mount, refresh }: ChatProps): JSX.Element {
  const task = useTask(refresh);
  const bring = (file: File) =>
    task.run(async () => {
      const { conversations } = await chats.bringIn(mount, file);
      const [first] = conversations;
      if (first === undefined) throw new Error("There is no conversation in this file.");
      tell(first.id);
      go(pageOf(first.id));
    });
  return (
    <>
      <label class="bring">
        <input
          type="file"
          class="unseen"
          accept=".json,.jsonl,application/json"
          disabled={task.busy}
          onChange={(event) => {
            const field = event.currentTarget;
            const file = field.files?.[0];
            // Emptied, so that the same file can be chosen again.
            if (file) void bring(file).then(() => (field.value = ""));
          }}
        />
        <span>{task.busy ? "Importing…" : "Import"}</span>
      </label>
      <Problem text={task.problem} />
    </>
  );
}

/** "n" begins a conversation, "/" goes to the search; while nothing is typed into. */
function useKeys(field: { current: HTMLInputElement | null }, mayWrite: boolean): void {
  useEffect(() => {
    const pressed = (event: KeyboardEvent) => {
      if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
      if (document.querySelector("dialog[open]") !== null) return;
      if (event.target instanceof HTMLElement && event.target.matches("input, textarea, select")) return;
      if (event.key === "/") field.current?.focus();
      else if (event.key === "n" && mayWrite) {
        go(`${LIST}/new`);
        // Where a new one is shown already.
        document.querySelector<HTMLElement>(".composer textarea")?.focus();
      } else return;
      event.preventDefault();
    };
    window.addEventListener("keydown", pressed);
    return () => window.removeEventListener("keydown", pressed);
  }, [mayWrite]);
}

/** Arrows move the focus through the list. */
function walk(event: KeyboardEvent, list: HTMLElement | null): void {
  if (event.key !== "ArrowDown" && event.key !== "ArrowUp") return;
  const links = [...(list?.querySelectorAll<HTMLElement>("a.card") ?? [])];
  const at = links.indexOf(document.activeElement as HTMLElement);
  const next = event.key === "ArrowDown" ? links[at + 1] : links[at - 1];
  if (next === undefined) return;
  next.focus();
  event.preventDefault();
}
