// What the chat plugin says of conversations and their messages, and what can be asked of it.
import * as api from "../api";

export interface Conversation {
  id: number;
  title: string;
  created_at: string;
  updated_at: string;
  /** The newest message of the branch that is shown. */
  head_id: number | null;
  /** Of the last answer. */
  provider_id: string | null;
  model: string | null;
  /** Whether a link leads to it. */
  shared: boolean;
}

/** How the next answer is to be made; what is not said is the server's to choose. */
export interface GenerationOptions {
  provider_id?: string | null;
  model?: string | null;
  temperature?: number | null;
  max_tokens?: number | null;
}

export type Role = "system" | "user" | "assistant" | "tool";

export interface Message {
  id: number;
  role: Role;
  content: string;
  created_at: string;
  seq: number;
  parent_id: number | null;
  /** complete, partial, canceled, error */
  status: string;
  retry_of?: number;
  generation_id?: string;
  provider_id?: string;
  model?: string;
  token_usage?: Usage;
  parts?: Parts;
}

export interface Usage {
  prompt_tokens?: number;
  completion_tokens?: number;
  total_tokens?: number;
  estimated?: boolean;
}

/** What is no text: thoughts before the answer, and the tools that were used for it. */
export interface Parts {
  reasoning?: string;
  tool_rounds?: Round[];
  finish_reason?: string;
}

/** Tools that were used at one place of an answer. until: its characters before that. */
export interface Round {
  until: number;
  calls: ToolUse[];
}

export interface ToolUse {
  id: string;
  tool: string;
  arguments: unknown;
  /** What it said. Null: nothing yet. */
  text: string | null;
  is_error: boolean;
}

/** An answer, while it is made and after. */
export interface Generation {
  generation_id: string;
  status: string;
  /** The answer's own message; without one nothing came of it. */
  message_id?: number;
  started_at: string;
  error?: { code: string; message: string };
}

export interface Model {
  id: string;
  label: string;
}

export interface Provider {
  id: string;
  name: string;
  /** Whether it answered when it was last asked. */
  ok: boolean;
  models: Model[];
}

/** Tools that belong together. */
export interface ToolSet {
  id: string;
  label: string;
}

export interface Tool {
  name: string;
  title: string;
  description: string;
}

/** What a search has found: a message, or a conversation by its title. */
export interface Found {
  conversation_id: number;
  title: string;
  message_id: number | null;
  snippet: string;
  /** Where in the snippet the words are: from and to, in whole characters. */
  marks: [number, number][];
}

/** So many conversations are asked for at once. */
export const PAGE = 50;

/** The contract's times are UTC without saying so. */
export const utc = (text: string): string => (/(?:Z|[+-]\d\d:?\d\d)$/.test(text) ? text : `${text}Z`);

const many = (mount: string): string => `${mount}/conversations`;
const one = (mount: string, id: number): string => `${many(mount)}/${id}`;

/** What makes a request that comes twice count once. Not `randomUUID`: browsers have that over https alone. */
export const newKey = (): string =>
  Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");

const once = (key: string): Record<string, string> => ({ "Idempotency-Key": key });

/** Newest first. */
export const list = (mount: string, offset: number): Promise<Conversation[]> =>
  api.get(`${many(mount)}?${new URLSearchParams({ limit: String(PAGE), offset: String(offset) })}`);

export const read = (mount: string, id: number): Promise<Conversation> => api.get(one(mount, id));

export const create = (mount: string): Promise<Conversation> => api.post(many(mount));

export const rename = (mount: string, id: number, title: string): Promise<unknown> => api.patch(one(mount, id), { title });

export const remove = (mount: string, id: number): Promise<unknown> => api.remove(one(mount, id));

/** All of them, in the order of writing; those that are being made are not among them. */
export const messages = (mount: string, id: number, afterSeq = 0): Promise<Message[]> =>
  api.get(`${one(mount, id)}/messages?${new URLSearchParams({ after_seq: String(afterSeq) })}`);

/** Those of the branch that is shown. */
export const branch = (mount: string, id: number): Promise<Message[]> => api.get(`${one(mount, id)}/messages?branch=active`);

/** Write something; it is an edit where it takes another's place. */
export const append = (mount: string, id: number, content: string, key: string, editOf?: number): Promise<{ message_id: number }> =>
  api.post(`${one(mount, id)}/messages`, { content, ...(editOf === undefined ? {} : { edit_of: editOf }) }, once(key));

/** A copy of the last thing that was said to the model, which the next answer is to. */
export const retry = (mount: string, id: number, options: GenerationOptions): Promise<{ message_id: number }> =>
  api.post(`${mount}/chat/retry`, { conversation_id: id, ...options }, once(newKey()));

export const setHead = (mount: string, id: number, message: number): Promise<unknown> => api.put(`${one(mount, id)}/head`, { message_id: message });

export const fork = (mount: string, id: number, message: number): Promise<Conversation> =>
  api.post(`${one(mount, id)}/fork`, { message_id: message });

/** What answers now, if anything does. */
export const active = async (mount: string, id: number): Promise<Generation | null> =>
  (await api.get<Generation[]>(`${one(mount, id)}/generations?active=1`))[0] ?? null;

/** The answers that were begun, newest first. */
export const generations = (mount: string, id: number): Promise<Generation[]> => api.get(`${one(mount, id)}/generations`);

/** Let the model answer: the stream of what happens. */
export const stream = (mount: string, id: number, options: GenerationOptions, key: string, cancel: AbortSignal): Promise<Response> =>
  api.ask("POST", `${one(mount, id)}/stream`, {
    headers: { "Content-Type": "application/json", Accept: "text/event-stream", ...once(key) },
    body: JSON.stringify(options),
    wait: 0,
    cancel,
  });

/** The stream of an answer that was begun, from after the event of that number. */
export const follow = (mount: string, generation: string, after: number, cancel: AbortSignal): Promise<Response> =>
  api.ask("GET", `${mount}/chat/generations/${generation}/stream?after=${after}`, {
    headers: { Accept: "text/event-stream" },
    wait: 0,
    cancel,
  });

export const stop = (mount: string, generation: string): Promise<unknown> => api.post(`${mount}/chat/cancel/${generation}`);

export const providers = (mount: string): Promise<Provider[]> => api.get(`${mount}/providers?include_models=true`);

export const toolSets = (mount: string): Promise<ToolSet[]> => api.get(`${mount}/chat/tools`);

/** The tools of a set: what gives them is started for that. */
export async function tools(mount: string, set: string): Promise<Tool[]> {
  const answer = await api.ask("GET", `${mount}/chat/tools/${encodeURIComponent(set)}`, { wait: 80_000 });
  return ((await answer.json()) as { tools: Tool[] }).tools;
}

/** The sets of tools that the answers of a conversation may use. */
export const chosenTools = async (mount: string, id: number): Promise<string[]> =>
  (await api.get<{ tool_sets: string[] }>(`${one(mount, id)}/tools`)).tool_sets;
export const chooseTools = (mount: string, id: number, sets: string[]): Promise<unknown> => api.put(`${one(mount, id)}/tools`, { tool_sets: sets });

export const search = (mount: string, q: string): Promise<Found[]> => api.get(`${mount}/chat/search?${new URLSearchParams({ q, limit: "30" })}`);

/** Make a link by which anybody can read what there is now. It is told this once; an earlier one ends. */
export const share = (mount: string, id: number): Promise<{ url: string; shared_at: string }> => api.post(`${one(mount, id)}/share`);
/** Let the link show what there is now. */
export const renew = (mount: string, id: number): Promise<unknown> => api.put(`${one(mount, id)}/share`);
export const unshare = (mount: string, id: number): Promise<unknown> => api.remove(`${one(mount, id)}/share`);

export interface Shared {
  title: string;
  shared_at: string | null;
  messages: Message[];
}

/** What a link shows. Its messages have no numbers: they get some. */
export async function shared(mount: string, token: string): Promise<Shared> {
  const found = await api.get<Shared>(`${mount}/chat/shared/${encodeURIComponent(token)}`);
  return { ...found, messages: found.messages.map((message, index) => ({ ...message, id: index + 1, seq: index + 1, parent_id: index || null })) };
}

export const exportOf = (mount: string, id: number, format: string): string => `${one(mount, id)}/export?format=${format}`;

/** All conversations, one a line. */
export const exportAll = (mount: string): string => `${mount}/chat/export`;

export async function bringIn(mount: string, file: Blob): Promise<{ conversations: Conversation[] }> {
  const sent = { headers: { "Content-Type": "application/json" }, body: file, wait: 120_000 };
  return (await api.ask("POST", `${many(mount)}/import`, sent)).json() as Promise<{ conversations: Conversation[] }>;
}
