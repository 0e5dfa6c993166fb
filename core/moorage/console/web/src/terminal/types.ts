// What the server tells of a shared session, checked where it arrives.
import type { Claim, Running } from "../tmux";

export interface Person {
  id: string;
  name: string;
}

export interface Pane {
  id: string;
  index: number;
  active: boolean;
  left: number;
  top: number;
  cols: number;
  rows: number;
  title: string;
}

export interface Window {
  id: string;
  index: number;
  name: string;
  active: boolean;
  zoomed: boolean;
  cols: number;
  rows: number;
  panes: Pane[];
}

type Message = Record<string, unknown>;

const text = (value: unknown): string => (typeof value === "string" ? value : "");
const number = (value: unknown): number => (typeof value === "number" ? value : 0);
const object = (value: unknown): Message | null =>
  typeof value === "object" && value !== null && !Array.isArray(value) ? (value as Message) : null;
const objects = (value: unknown): Message[] =>
  Array.isArray(value) ? value.map(object).filter((each): each is Message => each !== null) : [];

export function person(value: unknown): Person | null {
  const found = object(value);
  if (found === null) return null;
  return { id: text(found["id"] ?? found["userId"]), name: text(found["name"]) || "Somebody" };
}

/** Those who are present, as `presence` or an entry of a list names them. */
export const people = (value: unknown): Person[] => objects(value).map((each) => person(each) as Person);

export function claimOf(value: unknown): Claim | null {
  const found = object(value);
  if (found === null) return null;
  return { userId: text(found["userId"]), userName: text(found["userName"]), expiresAt: text(found["expiresAt"]) };
}

export function recordingOf(value: unknown): Running | null {
  const found = object(value);
  if (found === null) return null;
  return { id: text(found["id"]), startedAt: text(found["startedAt"]), by: person(found["by"]), input: found["input"] === true };
}

/** Windows of a `layout` message, or of GET /api/sessions/{name}, which calls some things by other names. */
export const windowsOf = (value: unknown): Window[] =>
  objects(value).map((window) => {
    const panes = objects(window["panes"]).map((pane) => ({
      id: text(pane["id"]),
      index: number(pane["index"]),
      active: pane["active"] === true,
      left: number(pane["left"]),
      top: number(pane["top"]),
      cols: number(pane["cols"] ?? pane["width"]),
      rows: number(pane["rows"] ?? pane["height"]),
      title: text(pane["title"]),
    }));
    return {
      id: text(window["id"]),
      index: number(window["index"]),
      name: text(window["name"]),
      active: window["active"] === true,
      zoomed: window["zoomed"] === true,
      cols: number(window["cols"]) || Math.max(0, ...panes.map((pane) => pane.left + pane.cols)),
      rows: number(window["rows"]) || Math.max(0, ...panes.map((pane) => pane.top + pane.rows)),
      panes,
    };
  });

/** The panes of a window that tmux shows: all, or the zoomed one. */
export function visible(window: Window): Pane[] {
  const active = window.panes.find((pane) => pane.active) ?? window.panes[0];
  if (!window.zoomed || !active) return window.panes;
  return [{ ...active, left: 0, top: 0, cols: window.cols, rows: window.rows }];
}

/** A window as if it had but one of its panes, for screens on which all of them would be too small. */
export function alone(window: Window, pane: Pane): Window {
  const { cols, rows } = visible(window).find((each) => each.id === pane.id) ?? pane;
  return { ...window, zoomed: false, cols, rows, panes: [{ ...pane, left: 0, top: 0, cols, rows }] };
}
