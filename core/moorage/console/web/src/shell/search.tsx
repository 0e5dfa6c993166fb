// The search across everything that one has, and the quick way to a place: a dialog of the keyboard.
import type { JSX } from "preact";
import { useEffect, useId, useMemo, useRef, useState } from "preact/hooks";
import { ApiError, CANCELLED } from "../api";
import { Dialog } from "../dialog";
import { byKind, type Entries, kindTitle, missingText, open, search } from "../entries";
import { words } from "../forms";
import type { Place } from "../places";

/** Milliseconds without a key, before the server is asked. */
const PAUSE = 200;
const LONGEST = 200;

interface Hit {
  key: string;
  href: string;
  title: string;
  detail: string;
}
type Group = [title: string, hits: Hit[]];

interface SearchProps {
  places: Place[];
  refresh: (() => Promise<void>) | undefined;
  onClose: () => void;
}

export function Search({ places, refresh, onClose }: SearchProps): JSX.Element {
  const [text, setText] = useState("");
  const [picked, setPicked] = useState(0);
  const { found, problem, busy } = useFound(text.trim(), refresh);
  const list = useRef<HTMLDivElement>(null);
  const id = useId();
  const groups = useMemo(() => grouped(text.trim(), places, found), [text, places, found]);
  const hits = groups.flatMap(([, some]) => some);
  const at = Math.min(picked, hits.length - 1);
  const missing = missingText(found?.missing ?? [], (plugin) => places.find((place) => place.plugin === plugin)?.title ?? plugin);
  const optionId = (index: number) => `${id}-${index}`;

  useEffect(() => {
    list.current?.querySelector('[aria-selected="true"]')?.scrollIntoView({ block: "nearest" });
  }, [at, groups]);
  const choose = (hit: Hit | undefined) => {
    if (hit === undefined) return;
    onClose();
    open(hit.href);
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
        placeholder="A word, or the name of a place"
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
                  <strong>{hit.title}</strong>
                  {hit.detail !== "" && <span>{hit.detail}</span>}
                </div>
              );
            })}
          </div>
        ))}
      </div>
      <p class="hint" role="status">
        {status(text.trim(), hits.length, busy, problem !== null)}
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
  if (count === 0) return `Nothing of yours has “${text}” in it. Try another word, or a part of it.`;
  return count === 1 ? "1 found" : `${count} found`;
}

/** Places by their names first: those are what one knows by heart. */
function grouped(text: string, places: Place[], found: Entries | null): Group[] {
  const wanted = text.toLowerCase();
  const there = places.filter(({ title }) => title.toLowerCase().split(/\s+/).some((word) => word.startsWith(wanted)));
  const groups: Group[] = [["Places", there.map(({ address, title, about }) => ({ key: address, href: address, title, detail: about }))]];
  for (const [kind, entries] of byKind(found?.entries ?? [])) {
    const hits = entries.map(({ plugin, href, title, detail, live }, index) => ({
      key: `${plugin} ${index} ${href}`,
      href,
      title,
      detail: live ? [detail, "runs now"].filter(Boolean).join(", ") : detail,
    }));
    groups.push([kindTitle(kind), hits]);
  }
  return groups.filter(([, hits]) => hits.length > 0);
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
