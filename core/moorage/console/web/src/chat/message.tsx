// One message, with what can be done with it.
import type { JSX } from "preact";
import { memo } from "preact/compat";
import { useLayoutEffect, useRef, useState } from "preact/hooks";
import { Copy } from "../copy";
import { Problem, useTask } from "../forms";
import { full } from "../time";
import { Listen } from "../voice/aloud";
import type { Voice } from "../voice/offered";
import { Answer } from "./answer";
import * as chats from "./chats";
import { grown, sends } from "./composer";
import type { Live } from "./live";

/** What can be done. What is not there may not be done, or not now. */
export interface Deeds {
  edit?: (message: chats.Message, content: string) => Promise<void>;
  again?: () => Promise<void>;
  fork?: (message: chats.Message) => Promise<void>;
  choose?: (message: chats.Message) => Promise<void>;
  /** Who reads it aloud. */
  voice?: Voice;
}

interface MessageProps {
  message: chats.Message;
  /** All that stand in its place, itself among them. */
  versions: readonly chats.Message[];
  deeds: Deeds;
  /** Whether nothing follows it. */
  last: boolean;
  editing: boolean;
  setEditing: (id: number | null) => void;
}

const NAMES: Record<chats.Role, string> = { user: "You", assistant: "Model", system: "System", tool: "Tool" };

const ENDS: Record<string, string> = {
  canceled: "Stopped.",
  partial: "Broken off: this is what had come.",
  error: "Broken off by an error.",
};

/** Made again only when something of it changed: a conversation may have very many. */
export const Message = memo(Shown, (before, now) => {
  const same = before.message === now.message && before.deeds === now.deeds && before.last === now.last && before.editing === now.editing;
  return same && before.versions.length === now.versions.length;
});

function Shown({ message, versions, deeds, last, editing, setEditing }: MessageProps): JSX.Element {
  const { role, content, parts } = message;
  const task = useTask();
  const model = role === "assistant";
  return (
    <article class={`message ${role}`} id={`message-${message.id}`} aria-label={NAMES[role]} tabIndex={-1}>
      {editing && deeds.edit ? (
        <Edit message={message} edit={deeds.edit} done={() => setEditing(null)} />
      ) : model ? (
        <Answer text={content} thought={parts?.reasoning ?? ""} rounds={parts?.tool_rounds ?? []} />
      ) : (
        <p class="plain">{content}</p>
      )}
      {message.status !== "complete" && <p class="end">{ENDS[message.status] ?? message.status}</p>}
      {parts?.finish_reason === "length" && <p class="end">The model's longest answer ends here.</p>}
      <Problem text={task.problem} />
      {!editing && (
        <div class="deeds">
          {versions.length > 1 && <Versions message={message} versions={versions} choose={deeds.choose} run={task.run} />}
          <Copy text={content} about={model ? "the answer" : "the message"}>
            Copy
          </Copy>
          {model && deeds.voice && content !== "" && <Listen voice={deeds.voice} id={message.id} text={content} />}
          {role === "user" && deeds.edit && (
            <button type="button" class="quiet" onClick={() => setEditing(message.id)}>
              Edit
            </button>
          )}
          {model && last && deeds.again && (
            <button type="button" class="quiet" disabled={task.busy} onClick={() => void task.run(() => deeds.again?.() ?? Promise.resolve())}>
              Try again
            </button>
          )}
          {deeds.fork && (
            <button type="button" class="quiet" disabled={task.busy} onClick={() => void task.run(() => deeds.fork?.(message) ?? Promise.resolve())}>
              Branch off
              <span class="unseen"> from here, into a conversation of its own</span>
            </button>
          )}
          <About message={message} />
        </div>
      )}
    </article>
  );
}

/** "llama-3, 1,200 tokens" with all that is known behind it. */
function About({ message }: { message: chats.Message }): JSX.Element {
  const at = chats.utc(message.created_at);
  return (
    <small class="about">
      {message.model !== undefined && <span title={message.provider_id}>{message.model}</span>}
      {message.token_usage !== undefined && <Tokens usage={message.token_usage} />}
      <time dateTime={at} title={full(at)}>
        {new Date(at).toLocaleTimeString(undefined, { hour: "2-digit", minute: "2-digit" })}
      </time>
    </small>
  );
}

export function Tokens({ usage }: { usage: chats.Usage }): JSX.Element {
  const { prompt_tokens: asked = 0, completion_tokens: answered = 0, total_tokens: all = asked + answered, estimated } = usage;
  const title = `${asked.toLocaleString()} asked, ${answered.toLocaleString()} answered${estimated ? "; estimated, for the provider counts none" : ""}`;
  return (
    <span title={title}>
      {estimated && "about "}
      {all === 1 ? "1 token" : `${all.toLocaleString()} tokens`}
    </span>
  );
}

interface VersionsProps {
  message: chats.Message;
  versions: readonly chats.Message[];
  choose: Deeds["choose"];
  run: (work: () => Promise<void>) => Promise<boolean>;
}

function Versions({ message, versions, choose, run }: VersionsProps): JSX.Element {
  const at = versions.findIndex(({ id }) => id === message.id);
  const step = (by: number, label: string, sign: string) => {
    const other = versions[at + by];
    return (
      <button type="button" class="quiet" aria-label={label} disabled={other === undefined || !choose} onClick={() => void run(async () => other && choose?.(other))}>
        {sign}
      </button>
    );
  };
  return (
    <span class="versions" role="group" aria-label="Versions">
      {step(-1, "Earlier version", "‹")}
      <span>
        {at + 1}/{versions.length}
      </span>
      {step(1, "Later version", "›")}
    </span>
  );
}

function Edit({ message, edit, done }: { message: chats.Message; edit: NonNullable<Deeds["edit"]>; done: () => void }): JSX.Element {
  const [text, setText] = useState(message.content);
  const area = useRef<HTMLTextAreaElement>(null);
  const task = useTask();
  // At once: the next key is for this field already.
  useLayoutEffect(() => {
    grown(area.current);
    area.current?.focus();
    area.current?.setSelectionRange(text.length, text.length);
  }, []);
  const submit = async () => {
    if (text.trim() !== "" && (await task.run(() => edit(message, text.trim())))) done();
  };
  return (
    <form
      class="edit"
      onSubmit={(event) => {
        event.preventDefault();
        void submit();
      }}
    >
      <textarea
        ref={area}
        value={text}
        aria-label="The message, changed"
        onInput={(event) => {
          setText(event.currentTarget.value);
          grown(area.current);
        }}
        onKeyDown={(event) => {
          if (event.isComposing) return;
          if (event.key === "Escape") done();
          if (sends(event)) {
            event.preventDefault();
            void submit();
          }
        }}
      />
      <p class="hint">It becomes another branch; what was said before stays.</p>
      <Problem text={task.problem} />
      <div class="choice">
        <button type="submit" disabled={task.busy || text.trim() === ""}>
          Send
        </button>
        <button type="button" class="quiet" onClick={done}>
          Cancel
        </button>
      </div>
    </form>
  );
}

/** The answer that is being made. */
export function Coming({ live }: { live: Live }): JSX.Element {
  const silent = live.said === "" && live.thought === "" && live.rounds.length === 0;
  return (
    <article class="message assistant coming" aria-label="Model" aria-busy="true">
      <Answer text={live.said} thought={live.thought} rounds={live.rounds} grows />
      {live.without.map((text) => (
        <p class="hint" key={text}>
          Without {text}
        </p>
      ))}
      {live.away ? (
        <p class="hint" role="status">
          The connection is away. The answer goes on, and is shown as soon as it is back.
        </p>
      ) : (
        silent && <p class="hint waiting">{live.queued ? "Waiting for its turn…" : live.stopping ? "Stopping…" : "Waiting for the model…"}</p>
      )}
    </article>
  );
}
