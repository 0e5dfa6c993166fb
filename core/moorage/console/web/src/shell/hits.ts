// What a search shows: groups of hits, the best first, and which of their words are marked.
import { byKind, type Entries, type Entry, inside, kindTitle, open } from "../entries";
import type { Place } from "../places";
import { go } from "../router";
import type { Action } from "./actions";

export interface Hit {
  key: string;
  title: string;
  detail: string;
  run: () => void;
}
export type Group = [title: string, hits: Hit[]];

/** Of what was used last, where nothing is looked for. */
const LAST = 5;

/** What is shown before anything is typed. */
export function offered(places: Place[], actions: Action[], last: Entries | null): Group[] {
  const used = (last?.entries ?? []).slice(0, LAST).map(hit);
  return filled([
    ["Last used", used],
    ["Places", places.map(placeHit)],
    ["Actions", actions.map(actionHit)],
  ]);
}

/** Places and actions by their names first: those are what one knows by heart, and they are there at once. */
export function grouped(text: string, places: Place[], actions: Action[], found: Entries | null): Group[] {
  const there = places.filter(({ title, plugin }) => begun(`${title} ${plugin ?? ""}`, text));
  const doable = actions.filter(({ title, also }) => begun(`${title} ${also ?? ""}`, text));
  const groups: Group[] = byKind(found?.entries ?? []).map(([kind, entries]) => {
    const hits = entries.map(hit);
    return [kindTitle(kind), hits.sort((one, other) => rank(one.title, text) - rank(other.title, text))];
  });
  const best = ([, [first]]: Group): number => (first === undefined ? 0 : rank(first.title, text));
  groups.sort((one, other) => best(one) - best(other));
  return filled([["Places", there.map(placeHit)], ["Actions", doable.map(actionHit)], ...groups]);
}

const filled = (groups: Group[]): Group[] => groups.filter(([, hits]) => hits.length > 0);

const placeHit = ({ address, title, about }: Place): Hit => ({ key: address, title, detail: about, run: () => go(address) });
const actionHit = ({ title, run }: Action): Hit => ({ key: title, title, detail: "", run });

function hit({ plugin, kind, href, title, detail, live }: Entry, index: number): Hit {
  const more = live ? [detail, "runs now"].filter(Boolean).join(", ") : detail;
  return { key: `${plugin} ${kind} ${index} ${inside(href)}`, title, detail: more, run: () => open(href) };
}

const words = (text: string): string[] => text.toLowerCase().split(/\s+/).filter(Boolean);

/** Whether a word of `name` begins with each word of the text. */
function begun(name: string, text: string): boolean {
  const own = words(name);
  return words(text).every((wanted) => own.some((word) => word.startsWith(wanted)));
}

/** 0: it is the text; 1: it begins with it; 2: a word of it does; 3: it has it; 4: the text is elsewhere. */
function rank(title: string, text: string): number {
  const [name, wanted] = [title.toLowerCase(), text.toLowerCase()];
  if (name === wanted) return 0;
  const at = name.indexOf(wanted);
  if (at <= 0) return at === 0 ? 1 : 4;
  return /[\p{L}\p{N}]/u.test(name.charAt(at - 1)) ? 3 : 2;
}

/** The text in pieces, each with whether a word that was looked for stands there. */
export function pieces(text: string, looked: string): [piece: string, marked: boolean][] {
  const wanted = words(looked).map((word) => word.replaceAll(/[.*+?^${}()|[\]\\]/g, "\\$&"));
  if (wanted.length === 0) return [[text, false]];
  // With a group that is kept, every second piece is one that was found.
  const parts = text.split(new RegExp(`(${wanted.sort((one, other) => other.length - one.length).join("|")})`, "gi"));
  return parts.map((part, index): [string, boolean] => [part, index % 2 === 1]).filter(([part]) => part !== "");
}
