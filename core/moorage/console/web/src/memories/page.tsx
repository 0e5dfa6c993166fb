// One's memories: listed, searched, written down, changed, forgotten, taken out and brought in.
import type { JSX } from "preact";
import { flushSync } from "preact/compat";
import { useEffect, useRef, useState } from "preact/hooks";
import { ApiError } from "../api";
import type { PageProps } from "../app";
import { useBegin } from "../begin";
import { Problem, Said, useTask, useTitle, words } from "../forms";
import { useListKeys } from "../listkeys";
import { go, useQuery } from "../router";
import { Trouble } from "../shell/trouble";
import { BringIn } from "./bringin";
import { Editor } from "./editor";
import * as memories from "./memories";
import type { Draft, Memory } from "./memories";
import { MAY, mountOf, pageOf, type Shown, shownBy } from "./place";
import { Row } from "./row";
import { Search } from "./search";
import "../list.css";
import "../recordings/recordings.css";
import "./memories.css";

/** How often the list is asked for again, in milliseconds: models write in it, too. A search is made once. */
const ASK_EVERY = 15_000;

export default function MemoriesPage({ state, refresh }: PageProps): JSX.Element {
  useTitle("Memories");
  const mount = mountOf(state);
  return (
    <main class="memories">
      {mount === null ? (
        <>
          <h1>Memories</h1>
          <p class="empty">
            No memories are kept at this address. Whoever runs this server switches them on with <code>moorage plugins enable memories</code>.
          </p>
        </>
      ) : (
        <List mount={mount} mayWrite={state.user.permissions.includes(MAY.write)} refresh={refresh} />
      )}
    </main>
  );
}

interface ListProps {
  mount: string;
  mayWrite: boolean;
  refresh: () => Promise<void>;
}

function List({ mount, mayWrite, refresh }: ListProps): JSX.Element {
  const shown = shownBy(useQuery());
  const { found, problem, again } = useMemories(mount, shown, refresh);
  // Null: none is open; "new", or the one that is changed.
  const [open, setOpen] = useState<Memory | "new" | null>(null);
  const [said, setSaid] = useState<string | null>(null);
  // What was done is told until something else is looked for.
  useEffect(() => setSaid(null), [shown.store, shown.q, shown.mode, shown.offset]);
  const task = useTask(refresh);
  const heading = useRef<HTMLHeadingElement>(null);
  const field = useRef<HTMLInputElement>(null);
  const list = useRef<HTMLUListElement>(null);
  const write = { n: () => flushSync(() => setOpen("new")) };
  useBegin(mayWrite, () => setOpen("new"));
  useListKeys(list, { "/": () => field.current?.focus(), ...(mayWrite ? write : {}) });

  const save = async (draft: Draft, store: string) => {
    const memory = open === "new" ? null : open;
    await (memory === null ? memories.add(mount, store, draft) : memories.change(mount, memory.id, draft));
    setOpen(null);
    setSaid(memory === null ? "Remembered." : "Saved.");
    await again();
  };
  const forget = (memory: Memory) =>
    task.run(async () => {
      await memories.forget(mount, memory.id);
      setSaid("Forgotten.");
      await again();
      heading.current?.focus();
    });
  const stores = found?.stores ?? [];
  return (
    <>
      <div class="heading">
        <h1 ref={heading} tabIndex={-1}>
          Memories
        </h1>
        {found !== null && (found.total > 0 || shown.q !== "") && (
          <a class="button" href={memories.exportOf(mount, shown.store)} download>
            Export{shown.store === "" ? " all" : ` ${shown.store}`}
          </a>
        )}
        {mayWrite && (
          <>
            <BringIn
              mount={mount}
              store={shown.store}
              refresh={refresh}
              done={async (imported) => {
                setSaid(broughtIn(imported));
                await again();
              }}
            />
            <button type="button" aria-haspopup="dialog" aria-keyshortcuts="n" onClick={() => setOpen("new")}>
              New memory
            </button>
          </>
        )}
      </div>
      <Search shown={shown} stores={stores} field={field} />
      {problem !== null && <Trouble text={problem} retry={again} />}
      <Problem text={task.problem} />
      <Said>{said}</Said>
      {found === null ? (
        problem === null && <p class="loading">{shown.q === "" ? "Loading…" : "Searching…"}</p>
      ) : (
        <>
          <Count found={found} shown={shown} mayWrite={mayWrite} />
          <ul class="rows" ref={list}>
            {found.memories.map((memory) => (
              <Row
                key={memory.id}
                memory={memory}
                naming={shown.store === "" && stores.length > 1}
                mayWrite={mayWrite}
                busy={task.busy}
                edit={() => setOpen(memory)}
                forget={() => void forget(memory)}
              />
            ))}
          </ul>
          <Pages shown={shown} found={found} />
        </>
      )}
      {open !== null && (
        <Editor
          memory={open === "new" ? null : open}
          stores={stores}
          store={shown.store}
          refresh={refresh}
          onClose={() => setOpen(null)}
          onSave={save}
        />
      )}
    </>
  );
}

function broughtIn({ imported, skipped }: memories.Imported): string {
  const made = imported === 1 ? "Brought in: one memory" : `Brought in: ${imported} memories`;
  return skipped === 0 ? `${made}.` : `${made}; ${skipped} ${skipped === 1 ? "was" : "were"} there already.`;
}

interface Found {
  memories: Memory[];
  total: number;
  stores: memories.Store[];
  /** How was searched; "" for the list. */
  mode: string;
}

async function load(mount: string, { store, q, mode, offset }: Shown): Promise<Found> {
  if (q === "") {
    const [stores, page] = await Promise.all([memories.stores(mount), memories.list(mount, store, offset)]);
    return { ...page, stores, mode: "" };
  }
  const [stores, found] = await Promise.all([memories.stores(mount), memories.search(mount, store, q, mode)]);
  return { memories: found.memories, total: found.memories.length, stores, mode: found.mode };
}

/** What the server has of what is to be shown. The last answer stays while the next one is on its way. */
function useMemories(mount: string, shown: Shown, refresh: () => Promise<void>) {
  const [found, setFound] = useState<Found | null>(null);
  const [problem, setProblem] = useState<string | null>(null);
  const asked = useRef(0);
  const again = async () => {
    const mine = ++asked.current;
    try {
      const answer = await load(mount, shown);
      if (mine !== asked.current) return;
      // The last one of a page was forgotten.
      if (answer.memories.length === 0 && shown.offset > 0) go(pageOf({ ...shown, offset: Math.max(0, shown.offset - memories.PAGE) }), true);
      setFound(answer);
      setProblem(null);
    } catch (error) {
      if (mine !== asked.current) return;
      if (error instanceof ApiError && error.status === 401) void refresh();
      setProblem(words(error));
    }
  };
  useEffect(() => {
    void again();
    const timer = setInterval(() => {
      if (document.visibilityState !== "hidden" && shown.q === "") void again();
    }, ASK_EVERY);
    return () => {
      asked.current += 1;
      clearInterval(timer);
    };
  }, [mount, shown.store, shown.q, shown.mode, shown.offset]);
  return { found, problem, again };
}

/** How much there is, read out when it changes. */
function Count({ found, shown, mayWrite }: { found: Found; shown: Shown; mayWrite: boolean }): JSX.Element {
  const count = found.memories.length;
  if (shown.q !== "") {
    const by = memories.MODES.find(([mode]) => mode === found.mode)?.[1].toLowerCase();
    const told = count === 0 ? "Nothing was found" : count === 1 ? "Found one" : `Found ${count}${count === memories.PAGE ? " or more" : ""}`;
    return (
      <p class="hint" role="status">
        {told}
        {by !== undefined && `, by ${by}`}
        {shown.mode !== "" && found.mode !== shown.mode && " – the server has not what the chosen way needs"}
      </p>
    );
  }
  if (count > 0) return <></>;
  return (
    <p class="empty" role="status">
      {shown.store === "" ? "Nothing is remembered yet." : "Nothing is in this store."}{" "}
      {mayWrite && "Write something down with the button above or the key N. In a chat, models can use the tools “Memories” to do so, too."}
    </p>
  );
}

function Pages({ shown, found }: { shown: Shown; found: Found }): JSX.Element | null {
  if (shown.q !== "" || found.total <= memories.PAGE) return null;
  const { offset } = shown;
  const until = offset + found.memories.length;
  return (
    <nav class="pages" aria-label="Pages of memories">
      {offset > 0 && <a href={pageOf({ ...shown, offset: Math.max(0, offset - memories.PAGE) })}>Newer</a>}
      <span>
        {found.memories.length === 0 ? 0 : offset + 1}–{until} of {found.total}
      </span>
      {until < found.total && <a href={pageOf({ ...shown, offset: offset + memories.PAGE })}>Older</a>}
    </nav>
  );
}
