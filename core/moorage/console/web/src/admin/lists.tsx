// What administration's lists share: filters in the address, answers that are asked for again, tables, pages.
import { type ComponentChildren, Fragment, type JSX } from "preact";
import { useEffect, useId, useRef, useState } from "preact/hooks";
import * as api from "../api";
import { type Polled, usePolled } from "../polled";
import { go, useQuery } from "../router";
import { ago, full } from "../time";
import "./lists.css";

/** How many rows a page of a list has. */
export const PAGE = 50;
/** Typing is searched for when it rests for so long, in milliseconds. */
const REST = 350;

// -- the address ----------------------------------------------------------------------------------------------------

export interface Filters {
  /** What the address says of a filter; "" for nothing. */
  of: (name: string) => string;
  offset: number;
  /** The address with another filter, or page: it begins at the first page unless `offset` is given. */
  href: (change: Record<string, string | number>) => string;
  /** Show it so. Steps of typing are no pages to go back to. */
  show: (change: Record<string, string | number>) => void;
}

export function useFilters(address: string): Filters {
  const query = useQuery();
  const href = (change: Record<string, string | number>) => {
    // Of this moment: a step of typing may come after another filter was chosen.
    const next = new URLSearchParams(location.search);
    const all: Record<string, string | number> = { offset: 0, ...change };
    for (const [name, value] of Object.entries(all)) {
      if (value === "" || value === 0) next.delete(name);
      else next.set(name, String(value));
    }
    return next.size === 0 ? address : `${address}?${next}`;
  };
  return {
    of: (name) => query.get(name) ?? "",
    offset: Math.max(0, Math.trunc(Number(query.get("offset"))) || 0),
    href,
    show: (change) => go(href(change), true),
  };
}

/** A query of what is given: nothing is said of what is empty. */
export function queryOf(given: Record<string, string | number>): string {
  const kept = Object.entries(given).filter(([, value]) => value !== "" && value !== 0);
  return new URLSearchParams(kept.map(([name, value]) => [name, String(value)])).toString();
}

interface TypedProps {
  label: string;
  value: string;
  onType: (text: string) => void;
  placeholder?: string;
  /** Texts that are offered. */
  known?: readonly string[];
  wide?: boolean;
}

/** A field that tells what is typed once typing rests. */
export function Typed({ label, value, onType, placeholder, known, wide = false }: TypedProps): JSX.Element {
  const [typed, setTyped] = useState(value);
  const waiting = useRef<ReturnType<typeof setTimeout> | undefined>(undefined);
  const id = useId();
  // The address was changed by a link, or by going back.
  useEffect(() => setTyped((before) => (before.trim() === value ? before : value)), [value]);
  useEffect(() => () => clearTimeout(waiting.current), []);
  const type = (text: string) => {
    setTyped(text);
    clearTimeout(waiting.current);
    waiting.current = setTimeout(() => onType(text.trim()), REST);
  };
  return (
    <label class={wide ? "wide" : undefined}>
      {label}
      <input
        type="search"
        value={typed}
        placeholder={placeholder ?? ""}
        autocomplete="off"
        autocapitalize="none"
        spellcheck={false}
        {...(known === undefined ? {} : { list: id })}
        onInput={(event) => type(event.currentTarget.value)}
      />
      {known !== undefined && (
        <datalist id={id}>
          {known.map((text) => (
            <option key={text} value={text} />
          ))}
        </datalist>
      )}
    </label>
  );
}

interface ChosenProps {
  label: string;
  value: string;
  /** Values with their words; "" is for all. */
  options: readonly (readonly [string, string])[];
  onChoose: (value: string) => void;
}

export function Chosen({ label, value, options, onChoose }: ChosenProps): JSX.Element {
  // What the address says and nobody offers is shown as well.
  const all = options.some(([one]) => one === value) ? options : [...options, [value, value] as const];
  return (
    <label>
      {label}
      <select value={value} onChange={(event) => onChoose(event.currentTarget.value)}>
        {all.map(([one, text]) => (
          <option key={one} value={one}>
            {text}
          </option>
        ))}
      </select>
    </label>
  );
}

// -- answers --------------------------------------------------------------------------------------------------------

/** What the server answers at `path`; null asks nothing. `every`: milliseconds to the next time, 0 for once. */
export const useFetched = <T,>(path: string | null, refresh: () => Promise<void>, every = 0): Polled<T> =>
  usePolled<T>(path === null ? null : () => api.get<T>(path), every, refresh, path ?? "");

// -- tables ---------------------------------------------------------------------------------------------------------

export interface Column<T> {
  title: string;
  cell: (row: T) => ComponentChildren;
  /** The one that names the row; one that is kept on a line; or the one with buttons, whose title is for screen readers. */
  kind?: "name" | "line" | "person" | "actions";
}

interface TableProps<T> {
  label: string;
  columns: Column<T>[];
  rows: T[];
  keyOf: (row: T) => string | number;
  /** What is shown below a row, over its whole width; null for nothing. */
  below?: (row: T) => ComponentChildren;
}

/** A table; narrow screens show each row as a card. The roles are named, for a table that is laid out anew is none. */
export function Table<T>({ label, columns, rows, keyOf, below }: TableProps<T>): JSX.Element {
  return (
    <table class="listing" role="table" aria-label={label}>
      <thead role="rowgroup">
        <tr role="row">
          {columns.map(({ title, kind }) => (
            <th key={title} role="columnheader" scope="col">
              {kind === "actions" ? <span class="unseen">{title}</span> : title}
            </th>
          ))}
        </tr>
      </thead>
      <tbody role="rowgroup">
        {rows.map((row) => {
          const more = below?.(row) ?? null;
          return (
            <Fragment key={keyOf(row)}>
              <tr role="row">
                {columns.map((column) => (
                  <Cell key={column.title} column={column} row={row} />
                ))}
              </tr>
              {more !== null && (
                <tr role="row" class="below">
                  <td role="cell" colSpan={columns.length}>
                    {more}
                  </td>
                </tr>
              )}
            </Fragment>
          );
        })}
      </tbody>
    </table>
  );
}

function Cell<T>({ column: { title, cell, kind }, row }: { column: Column<T>; row: T }): JSX.Element {
  if (kind === "name") {
    return (
      <th role="rowheader" scope="row">
        {cell(row)}
      </th>
    );
  }
  return (
    <td role="cell" class={kind} data-title={title}>
      <div>{cell(row)}</div>
    </td>
  );
}

export function At({ time, never = "never" }: { time: string | null; never?: string }): JSX.Element {
  if (time === null) return <>{never}</>;
  return (
    <time dateTime={time} title={full(time)}>
      {ago(time)}
    </time>
  );
}

interface PagesProps {
  /** What is listed, in the plural. */
  of: string;
  filters: Filters;
  /** How many are shown, and how many there are in all. */
  count: number;
  total: number;
  size?: number;
}

/** Where in a list one is; read out when it changes. */
export function Pages({ of, filters, count, total, size = PAGE }: PagesProps): JSX.Element | null {
  const { offset, href } = filters;
  if (count === 0 && offset === 0) return null;
  const all = total === 1 ? `1 ${of.replace(/s$/, "")}` : `${total} ${of}`;
  return (
    <nav class="paging" aria-label={`Pages of ${of}`}>
      <span role="status">
        {count === 0 ? `None of ${total} from here on` : total <= count ? all : `${offset + 1}–${offset + count} of ${total} ${of}`}
      </span>
      {offset > 0 && <a href={href({ offset: Math.max(0, offset - size) })}>Previous page</a>}
      {offset + count < total && <a href={href({ offset: offset + size })}>Next page</a>}
    </nav>
  );
}
