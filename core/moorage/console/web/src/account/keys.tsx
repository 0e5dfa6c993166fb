// Keys by which programs act for their owner. A key's secret is shown once.
import type { JSX } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import * as api from "../api";
import { Confirm, useTask } from "../forms";
import { ago, full } from "../time";
import { type About, inWords, type Right } from "./about";
import { chosen, MOST, Scopes } from "./scopes";
import { type PartProps, Section, useList, Waiting } from "./section";

export interface Key {
  id: number;
  name: string;
  prefix: string;
  created_at: string;
  last_used_at: string | null;
  expires_at: string | null;
  scopes: string[] | null;
}

const DAY = 86_400_000;
const TERMS: [string, string][] = [
  ["30", "30 days"],
  ["90", "90 days"],
  ["365", "a year"],
  ["", "until revoked"],
];

/** From so many on, one looks for a key by its name. */
const MANY = 10;

export function Keys({ user, about, refresh }: PartProps & { user: api.User; about: About | null }): JSX.Element {
  const [sought, setSought] = useState("");
  const [made, setMade] = useState(0);
  const rights = about?.rights ?? [];
  const task = useTask(refresh);
  const heading = useRef<HTMLHeadingElement>(null);
  const [said, setSaid] = useState<string | null>(null);
  const [fresh, setFresh] = useState<{ name: string; secret: string } | null>(null);
  const { list, load } = useList(task, async () => {
    // Administrators are told everybody's unless they ask for one's. A user has no more keys than a page holds.
    const path = `/api/v1/api-keys?per_page=100&user_id=${user.number}`;
    return (await api.get<{ data: { api_keys: Key[] } }>(path)).data.api_keys;
  });

  const create = (event: SubmitEvent) => {
    event.preventDefault();
    const form = event.currentTarget as HTMLFormElement;
    const fields = new FormData(form);
    const days = Number(fields.get("days"));
    const name = String(fields.get("name"));
    const scopes = chosen(fields);
    setSaid(null);
    if (scopes !== null && (scopes.length === 0 || scopes.length > MOST)) {
      task.setProblem(scopes.length === 0 ? "Choose what the key may do." : `Choose at most ${MOST} things, or all.`);
      return;
    }
    void task.run(async () => {
      const expires = days > 0 ? { expires_at: new Date(Date.now() + days * DAY).toISOString() } : {};
      const made = await api.post<{ data: { api_key: string } }>("/api/v1/api-keys", {
        name,
        ...expires,
        ...(scopes === null ? {} : { scopes }),
      });
      setMade((count) => count + 1);
      setFresh({ name, secret: made.data.api_key });
      await load();
    });
  };
  const revoke = (key: Key) =>
    task.run(async () => {
      await api.remove(`/api/v1/api-keys/${key.id}`);
      // The new one's secret is told no more when it lets nobody in.
      if (fresh?.secret.startsWith(key.prefix) === true) setFresh(null);
      setSaid(`Revoked: ${key.name}.`);
      await load();
      heading.current?.focus();
    });
  const hide = () => {
    setFresh(null);
    heading.current?.focus();
  };

  const shown = list?.filter((key) => `${key.name} ${key.prefix}`.toLowerCase().includes(sought.toLowerCase())) ?? [];
  return (
    <Section
      title="Keys for programs"
      task={task}
      said={said}
      heading={heading}
      hint="A program that has one of these acts as you. It sends the key as a Bearer token."
    >
      {fresh !== null && <Secret key={fresh.secret} {...fresh} hide={hide} />}
      {list === null ? (
        <Waiting task={task} load={load} />
      ) : (
        <>
          {list.length > MANY && (
            <label>
              Find one of your {list.length} keys
              <input type="search" value={sought} autocomplete="off" onInput={(event) => setSought(event.currentTarget.value)} />
            </label>
          )}
          {shown.length === 0 && <p class="hint">{list.length === 0 ? "You have none." : "No key is called so."}</p>}
          <ul class="rows">
            {shown.map((key) => (
              <li class="item" key={key.id}>
                <div>
                  <strong>{key.name}</strong> <code>{key.prefix}…</code>
                  <Facts of={key} rights={rights} />
                </div>
                <Confirm
                  label="Revoke"
                  about={key.name}
                  question="Programs that use it are refused at once."
                  yes="Revoke it"
                  busy={task.busy}
                  act={() => void revoke(key)}
                />
              </li>
            ))}
          </ul>
        </>
      )}
      <form class="row" key={made} onSubmit={create}>
        <label>
          Name of a new key
          <input name="name" maxLength={128} autocomplete="off" required />
        </label>
        <label>
          Good for
          <select name="days">
            {TERMS.map(([days, text]) => (
              <option key={days} value={days}>
                {text}
              </option>
            ))}
          </select>
        </label>
        <Scopes rights={rights} />
        <button type="submit" disabled={task.busy}>
          {task.busy ? "Just a moment…" : "Make a key"}
        </button>
      </form>
    </Section>
  );
}

function Facts({ of: key, rights }: { of: Key; rights: Right[] }): JSX.Element {
  const over = key.expires_at !== null && Date.parse(key.expires_at) <= Date.now();
  return (
    <p>
      Made <time title={full(key.created_at)}>{ago(key.created_at)}</time>,{" "}
      {key.last_used_at === null ? "never used" : <time title={full(key.last_used_at)}>last used {ago(key.last_used_at)}</time>},{" "}
      {key.expires_at === null ? (
        "holds until revoked"
      ) : (
        <time title={full(key.expires_at)}>
          {over ? "expired" : "expires"} {ago(key.expires_at)}
        </time>
      )}
      {key.scopes !== null && `. It may only: ${key.scopes.map((scope) => inWords(scope, rights)).join("; ")}`}
    </p>
  );
}

export function Secret({ name, secret, hide }: { name: string; secret: string; hide: () => void }): JSX.Element {
  const box = useRef<HTMLInputElement>(null);
  const [copied, setCopied] = useState<string | null>(null);
  useEffect(() => box.current?.select(), []);
  const copy = async () => {
    box.current?.select();
    try {
      await navigator.clipboard.writeText(secret);
      setCopied("Copied.");
    } catch {
      // Without https there is no clipboard for pages.
      setCopied("Your browser does not let this page copy. The key is selected: press Ctrl+C.");
    }
  };
  return (
    <div class="secret">
      <label>
        The key “{name}”. It is shown this once: store it safely.
        <input ref={box} class="code" value={secret} readOnly spellcheck={false} onFocus={(event) => event.currentTarget.select()} />
      </label>
      <div class="choice">
        <button type="button" onClick={() => void copy()}>
          Copy
        </button>
        <button type="button" class="quiet" onClick={hide}>
          I have stored it
        </button>
      </div>
      <p role="status">{copied}</p>
    </div>
  );
}
