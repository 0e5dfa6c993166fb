// What the account page is told besides the lists: whether there is a password, and what rights are about in words.
import * as api from "../api";
import { ANY, byPlugin } from "../words";

export interface Right {
  name: string;
  summary: string;
  held: boolean;
}

export interface About {
  has_password: boolean;
  rights: Right[];
}

export const about = (): Promise<About> => api.get("/api/console/account");

/** "Read sessions" for `core:session:read`, and whose; the name itself where it is a pattern, or of a plugin that went. */
export function inWords(name: string, rights: Right[]): string {
  const plain = name.endsWith(ANY) ? name.slice(0, -ANY.length) : name;
  const known = rights.find((right) => right.name === plain);
  if (known === undefined) return name;
  return plain === name ? known.summary : `${known.summary}: everybody's`;
}

/** Whether the actor may do something of it. What is no plain name is a pattern, of which nothing is known here. */
export const lacks = (name: string, rights: Right[]): boolean => rights.find((right) => right.name === name)?.held === false;

/** Rights by the plugin that they are of, as a heading calls it. */
export const grouped = (rights: Right[]): [string, Right[]][] =>
  byPlugin(rights).map(([plugin, those]) => [plugin === "core" ? "this server" : plugin, those]);
