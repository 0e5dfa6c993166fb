// The search across everything that one has, and the quick way to a place: a dialog of the keyboard.
import type { JSX } from "preact";
import { useEffect, useId, useMemo, useRef, useState } from "preact/hooks";
import { ApiError, CANCELLED } from "../api";
import { Dialog } from "../dialog";
import { type Entries, missingText, overview, search } from "../entries";
import { words } from "../forms";
import type { Place } from "../places";
import type { Action } from "./actions";
import { grouped, type Hit, offered, pieces } from "./hits";

/** Milliseconds without a key, before the server is asked. */
const PAUSE = 200;
const LONGEST = 200;

interface SearchProps {
  places: Place[];
  actions: Action[];
  refresh: (() => Promise<void>) | undefined;
  onClose: () => void;
}

export function Search({ places, actions, refresh, onClose }: SearchProps): JSX.Element {
  const [text, setText] = useState("");
  const [picked, setPicked] = useState(0);
  const { found, problem, busy } = useFound(text.trim(), refresh);
  const list = useRef<HTMLDivElement>(null);
  const id = useId();
  const last = useLast();
  const looked = text.trim();
  const groups = useMemo(
    () => (looked === "" ? offered(places, actions, last) : grouped(looked, places, actions, found)),
    [looked, places, actions, found, last],
  );
  const hits = groups.flatMap(([, some]) => some);
  const at = Math.min(picked, hits.length - 1);
  const missing = missingText(found?.missing ?? [], (plugin) => titleOf(plugin, places));
  const optionId = (index: number) => `${id}-${index}`;

  useEffect(() => {
    list.current?.querySelector('[aria-selected="true"]')?.scrollIntoView({ block: "nearest" });
  }, [at, groups]);
  const choose = (hit: Hit | undefined) => {
    if (hit === undefined) return;
    onClose();
    hit.run();
  };
  const pressed = (event: KeyboardEvent) => {
    // Where a word is composed, the keys are of that.
    if (event.isComposing || event.ctrlKey || event.metaKey || event.altKey) return;
    const steps: Record<string, number> = { ArrowDown: at + 1, ArrowUp: at - 1 };
    const next = steps[event.key];
    if (next !== undefined) setPicked(hits.length === 0 ? 0 : (next + hits.length) % hits.length);
    else if (event.key === "Enter") choose(hits[at]);
    else return;
    event.preventDefault();
  };
  let count = 0;
  return (
    <Dialog title="Search" kind="search" onClose={onClose}>
      <input
        type="search"
        role="combobox"
        list={undefined}
        aria-label="Search everything of yours, or name a place"
        placeholder="A word, a place, or what to do"
        aria-expanded={hits.length > 0}
        aria-controls={`${id}-list`}
        aria-autocomplete="list"
        aria-activedescendant={at >= 0 ? optionId(at) : undefined}
        autocomplete="off"
        autocapitalize="none"
        spellcheck={false}
        maxLength={LONGEST}
        value={text}
        onInput={(event) => {
          setText(event.currentTarget.value);
          setPicked(0);
        }}
        onKeyDown={pressed}
        autofocus
      />
      <div class="hits" id={`${id}-list`} role="listbox" aria-label="Found" ref={list}>
        {groups.map(([title, some]) => (
          <div key={title} role="group" aria-label={title}>
            <p class="kind" aria-hidden="true">
              {title}
            </p>
            {some.map((hit) => {
              const index = count++;
              return (
                <div
                  key={hit.key}
                  id={optionId(index)}
                  class="hit"
                  role="option"
                  aria-selected={index === at}
                  onMouseMove={() => setPicked(index)}
                  onClick={() => choose(hit)}
                >
                  <strong>
                    <Marked text={hit.title} looked={looked} />
                  </strong>
                  {hit.detail !== "" && (
                    <span>
                      <Marked text={hit.detail} looked={looked} />
                    </span>
                  )}
                </div>
              );
            })}
          </div>
        ))}
      </div>
      <p class="hint" role="status">
        {status(looked, hits.length, busy, problem !== null)}
      </p>
      {problem !== null && <p class="problem">{problem}</p>}
      {missing !== null && <p class="warning">{missing}</p>}
    </Dialog>
  );
}

function status(text: string, count: number, busy: boolean, failed: boolean): string {
  if (text === "") return "Arrow keys choose, Enter opens, Escape closes.";
  if (busy) return "Searching…";
  if (failed) return "";
  if (count === 0) return `Nothing of yours has “${text}” in it. Try another word, or the whole of it.`;
  return count === 1 ? "1 found" : `${count} found`;
}

/** What is missing may be what administrators search, which is no plugin's. */
const titleOf = (plugin: string, places: Place[]): string =>
  plugin === "core" ? "Administration" : (places.find((place) => place.plugin === plugin)?.title ?? plugin);

function Marked({ text, looked }: { text: string; looked: string }): JSX.Element {
  return <>{pieces(text, looked).map(([piece, marked], index) => (marked ? <mark key={index}>{piece}</mark> : piece))}</>;
}

/** What was used last; nothing where that cannot be known: the places are there all the same. */
function useLast(): Entries | null {
  const [last, setLast] = useState<Entries | null>(null);
  useEffect(() => {
    let gone = false;
    overview().then(
      (found) => !gone && setLast(found),
      () => undefined,
    );
    return () => {
      gone = true;
    };
  }, []);
  return last;
}

interface Found {
  found: Entries | null;
  problem: string | null;
  busy: boolean;
}

/** What the server finds of `text`; what was found before stays until then. */
function useFound(text: string, refresh: (() => Promise<void>) | undefined): Found {
  const [state, setState] = useState<Found>({ found: null, problem: null, busy: false });
  useEffect(() => {
    if (text === "") {
      setState({ found: null, problem: null, busy: false });
      return;
    }
    setState((before) => ({ ...before, busy: true }));
    const cancel = new AbortController();
    const ask = async () => {
      try {
        const found = await search(text, cancel.signal);
        if (!cancel.signal.aborted) setState({ found, problem: null, busy: false });
      } catch (error) {
        if (cancel.signal.aborted || (error instanceof ApiError && error.code === CANCELLED)) return;
        if (error instanceof ApiError && error.status === 401) void refresh?.();
        setState({ found: null, problem: words(error), busy: false });
      }
    };
    const timer = setTimeout(() => void ask(), PAUSE);
    return () => {
      clearTimeout(timer);
      cancel.abort();
    };
  }, [text, refresh]);
  return state;
}
