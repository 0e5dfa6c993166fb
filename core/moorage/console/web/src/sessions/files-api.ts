// The files of a session: asked for, written and moved.
import * as api from "../api";
import { part } from "./sessions";

export interface Entry {
  name: string;
  path: string;
  type: "file" | "directory";
  size?: number;
  modified?: number;
  kind?: "symlink" | "special";
  /** What a query needs for a path that is no text. */
  encoded?: string;
}

/** A file that can be edited as text. `tag`: of this version, so that nobody else's is overwritten. */
export interface Text {
  text: string;
  tag: string | null;
}

/** Larger files, in bytes, are downloaded instead of shown. */
export const SHOWN = 1_000_000;

const query = (values: Record<string, string>): string => new URLSearchParams(values).toString();
const where = (entry: Entry): string => (entry.encoded === undefined ? query({ path: entry.path }) : `path=${entry.encoded}`);

export class Files {
  constructor(
    private readonly mount: string,
    private readonly session: string,
  ) {}

  private url(name: string, search: string): string {
    return `${part(this.mount, this.session, "files")}/${name}?${search}`;
  }

  list(folder: string, hidden: boolean): Promise<Entry[]> {
    return api.get(this.url("tree", query({ path: folder === "" ? "." : folder, depth: "1", show_hidden: String(hidden) })));
  }

  /** Where the browser downloads an entry from: a folder comes as an archive. */
  download(entry: Entry): string {
    return this.url("download", where(entry));
  }

  /** Null: it is no text. */
  async read(entry: Entry): Promise<Text | null> {
    const answer = await api.ask("GET", this.url("file", where(entry)), { headers: { Accept: "*/*" } });
    const bytes = await answer.arrayBuffer();
    try {
      const text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
      return text.includes("\0") ? null : { text, tag: answer.headers.get("ETag") };
    } catch {
      return null;
    }
  }

  /** Write a text, unless the file is no longer the one with `tag`. The new version's tag. */
  async write(entry: Entry, text: string, tag: string | null): Promise<string | null> {
    const headers: Record<string, string> = { "Content-Type": "application/octet-stream" };
    if (tag !== null) headers["If-Match"] = tag;
    return (await api.ask("PUT", this.url("file", where(entry)), { headers, body: text })).headers.get("ETag");
  }

  async upload(folder: string, file: File): Promise<void> {
    const form = new FormData();
    form.append("file", file, file.name);
    const path = folder === "" ? "./" : `${folder}/`;
    await api.ask("POST", this.url("file", query({ path })), { body: form, wait: 3_600_000 });
  }

  async folder(path: string): Promise<void> {
    await api.ask("PUT", this.url("mkdir", query({ path })));
  }

  async create(path: string): Promise<void> {
    const headers = { "If-None-Match": "*", "Content-Type": "application/octet-stream" };
    await api.ask("PUT", this.url("file", query({ path })), { headers, body: "" });
  }

  async move(from: string, to: string): Promise<void> {
    await api.ask("POST", this.url("rename", query({ old_path: from, new_path: to })));
  }

  async erase(entry: Entry): Promise<void> {
    await api.ask("DELETE", this.url("file", where(entry)), { wait: 600_000 });
  }
}

export const within = (folder: string, name: string): string => (folder === "" ? name : `${folder}/${name}`);
export const above = (path: string): string => path.split("/").slice(0, -1).join("/");
