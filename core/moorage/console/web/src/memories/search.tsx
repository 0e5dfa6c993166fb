// What is searched for, how, and in which store; the address says it, too.
import type { JSX, RefObject } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { go } from "../router";
import { MODES, type Store } from "./memories";
import { pageOf, type Shown } from "./place";

/** Typing is searched for when it rests for so long, in milliseconds. */
const REST = 300;

interface SearchProps {
  shown: Shown;
  stores: Store[];
  field: RefObject<HTMLInputElement | null>;
}

export function Search({ shown, stores, field }: SearchProps): JSX.Element {
  const [typed, setTyped] = useState(shown.q);
  const waiting = useRef<ReturnType<typeof setTimeout> | undefined>(undefined);
  const latest = useRef(shown);
  latest.current = shown;
  // The address was changed by a link, or by going back.
  useEffect(() => setTyped((before) => (before.trim() === shown.q ? before : shown.q)), [shown.q]);
  useEffect(() => () => clearTimeout(waiting.current), []);
  const show = (change: Partial<Shown>) => {
    clearTimeout(waiting.current);
    go(pageOf({ ...latest.current, q: (field.current?.value ?? "").trim(), offset: 0, ...change }), true);
  };
  const type = (text: string) => {
    setTyped(text);
    clearTimeout(waiting.current);
    waiting.current = setTimeout(() => show({}), REST);
  };
  const submit = (event: SubmitEvent) => {
    event.preventDefault();
    show({});
  };
  return (
    <form class="filter" role="search" onSubmit={submit}>
      <label class="what">
        <span class="unseen">Search memories</span>
        <input
          type="search"
          ref={field}
          value={typed}
          placeholder="Search"
          autocomplete="off"
          aria-keyshortcuts="/"
          onInput={(event) => type(event.currentTarget.value)}
        />
      </label>
      <label>
        <span class="unseen">Search by</span>
        <select value={shown.mode} onChange={(event) => show({ mode: event.currentTarget.value })}>
          <option value="">The usual way</option>
          {MODES.map(([mode, label]) => (
            <option key={mode} value={mode}>
              {label}
            </option>
          ))}
        </select>
      </label>
      {(stores.length > 1 || shown.store !== "") && (
        <label>
          <span class="unseen">Store</span>
          <select value={shown.store} onChange={(event) => show({ store: event.currentTarget.value })}>
            <option value="">All stores</option>
            {shown.store !== "" && !stores.some(({ name }) => name === shown.store) && <option value={shown.store}>{shown.store}</option>}
            {stores.map((store) => (
              <option key={store.name} value={store.name} title={store.project ?? undefined}>
                {store.memories === null ? store.name : `${store.name} (${store.memories})`}
              </option>
            ))}
          </select>
        </label>
      )}
    </form>
  );
}
