// One conversation: what was said on the branch that is shown, the answer that is being made, and where one types.
import type { JSX } from "preact";
import { useEffect, useLayoutEffect, useMemo, useRef, useState } from "preact/hooks";
import { Problem, useTask, useTitle } from "../forms";
import { go, useQuery } from "../router";
import { Trouble } from "../shell/trouble";
import { Reading, useAloud } from "../voice/aloud";
import { useVoice, type Voice } from "../voice/offered";
import { About } from "./about";
import type * as chats from "./chats";
import * as ask from "./chats";
import { lastChoice, useTools } from "./choice";
import { Composer } from "./composer";
import { Coming, type Deeds, Message } from "./message";
import { type ChatProps, Missing } from "./page";
import { LIST, MAY, pageOf } from "./place";
import { leaf, path, siblings } from "./tree";
import { tell, useTalk, type Talk } from "./talk";

/** So many messages are shown at first, and more with each wish for earlier ones. */
const SHOWN = 60;
/** So near to the end, in pixels, the view follows what comes. */
const NEAR = 80;

export function Conversation(props: ChatProps & { id: number }): JSX.Element {
  const { mount, id, state, refresh } = props;
  const talk = useTalk(mount, id, refresh);
  const { conversation, live, sending, fault, problem } = talk;
  const [options, setOptions] = useOptions(talk);
  const [tools, setTools] = useTools(mount, id);
  const [editing, setEditing] = useState<number | null>(null);
  const [about, setAbout] = useState(false);
  const may = (permission: string) => state.user.permissions.includes(permission);
  const mayTalk = may(MAY.write) && may(MAY.generate);
  const voice = useVoice(state);
  useAloud(live, voice);
  const busy = live !== null || sending !== null;
  useTitle(conversation?.title ?? "Chat");
  // What was searched for is looked at, not typed over.
  const sought = useQuery().has("at");
  const asked = useRef(options);
  asked.current = options;
  const deeds = useDeeds(talk, mount, asked, may(MAY.write), mayTalk && !busy, voice);
  if (talk.missing) return <Missing />;
  if (conversation === null && talk.shown.length === 0 && sending === null) {
    return <section class="talk">{problem === null ? <p class="loading">Loading…</p> : <Trouble text={problem} retry={() => talk.look(true)} />}</section>;
  }
  const shown = talk.shown;
  const editLast = () => setEditing(shown.filter(({ role }) => role === "user").at(-1)?.id ?? null);
  return (
    <section class="talk" aria-label={conversation?.title}>
      <div class="bar">
        <a class="back" href={LIST} aria-label="Conversations">
          ‹
        </a>
        <h1>{conversation?.title}</h1>
        <button type="button" class="quiet" aria-haspopup="dialog" aria-label="About this conversation" onClick={() => setAbout(true)}>
          ⋯
        </button>
      </div>
      {problem !== null && <Trouble text={problem} retry={() => talk.look(true)} />}
      <Log talk={talk} shown={shown} deeds={deeds} editing={editing} setEditing={setEditing}>
        {sending !== null && !shown.some((one) => one.id === sending.id) && (
          <article class="message user" aria-label="You">
            <p class="plain">{sending.content}</p>
          </article>
        )}
        {live !== null && <Coming live={live} />}
        {live === null && <Unanswered fault={fault} waits={shown.at(-1)?.role === "user" && sending === null} answer={mayTalk ? () => talk.answer(asked.current) : null} />}
      </Log>
      <p class="unseen" role="status">
        {live === null ? "" : live.stopping ? "The answer is being stopped." : "The model answers."}
      </p>
      {voice !== null && <Reading />}
      {mayTalk && (
        <Composer
          {...props}
          draft={String(id)}
          options={options}
          onOptions={setOptions}
          tools={tools}
          onTools={setTools}
          send={(content) => talk.send(content, asked.current)}
          live={live}
          stop={() => talk.stop()}
          editLast={editLast}
          focus={!sought}
          voice={voice}
        />
      )}
      {about && conversation !== null && <About {...props} talk={talk} conversation={conversation} onClose={() => setAbout(false)} />}
    </section>
  );
}

/** What is chosen for the conversation: what was used last in it, until something else is chosen here. */
function useOptions(talk: Talk): [chats.GenerationOptions, (options: chats.GenerationOptions) => void] {
  const [chosen, setChosen] = useState<chats.GenerationOptions | null>(null);
  const { conversation } = talk;
  const last = useMemo<chats.GenerationOptions>(() => {
    const { provider_id = null, model = null } = conversation ?? {};
    return { ...lastChoice(), ...(provider_id === null ? {} : { provider_id, model }) };
  }, [conversation?.provider_id, conversation?.model]);
  return [chosen ?? last, setChosen];
}

function useDeeds(talk: Talk, mount: string, options: { current: chats.GenerationOptions }, mayWrite: boolean, mayTalk: boolean, voice: Voice | null): Deeds {
  return useMemo(() => {
    const deeds: Deeds = {};
    if (mayWrite) {
      deeds.choose = (message) => talk.choose(message.id);
      deeds.fork = async (message) => {
        const made = await ask.fork(mount, talk.id, message.id);
        tell(made.id);
        go(pageOf(made.id));
      };
    }
    if (mayTalk) {
      deeds.edit = (message, content) => talk.send(content, options.current, message.id);
      deeds.again = () => talk.again(options.current);
    }
    if (voice !== null && voice.speaks !== null) deeds.voice = voice;
    return deeds;
  }, [talk, mount, mayWrite, mayTalk, voice]);
}

interface LogProps {
  talk: Talk;
  shown: chats.Message[];
  deeds: Deeds;
  editing: number | null;
  setEditing: (id: number | null) => void;
  children: JSX.Element | (JSX.Element | false | null)[];
}

function Log({ talk, shown, deeds, editing, setEditing, children }: LogProps): JSX.Element {
  const [most, setMost] = useState(SHOWN);
  const box = useRef<HTMLDivElement>(null);
  const follows = useRef(true);
  const top = useRef(0);
  const [away, setAway] = useState(false);
  /** The distance from the end that is to be kept while earlier messages come in above. */
  const kept = useRef<number | null>(null);
  useSought(talk, shown, () => {
    follows.current = false;
    setMost(Infinity);
  });
  useLayoutEffect(() => {
    const element = box.current;
    if (element === null) return;
    if (kept.current !== null) element.scrollTop = element.scrollHeight - kept.current;
    else if (follows.current) element.scrollTop = element.scrollHeight;
    kept.current = null;
  });
  // What one says oneself is always seen.
  useEffect(() => {
    if (talk.sending !== null) follows.current = true;
  }, [talk.sending]);
  useEffect(() => {
    const element = box.current;
    if (element === null) return undefined;
    // Code for Markdown that comes late, a turned phone: the end stays where it is.
    const watcher = new ResizeObserver(() => {
      if (follows.current) element.scrollTop = element.scrollHeight;
    });
    watcher.observe(element);
    for (const child of element.children) watcher.observe(child);
    return () => watcher.disconnect();
  }, []);
  const scrolled = () => {
    const element = box.current;
    if (element === null) return;
    // Only a way up is somebody's wish: the end goes away by itself when something above it grows.
    if (element.scrollHeight - element.scrollTop - element.clientHeight < NEAR) follows.current = true;
    else if (element.scrollTop < top.current) follows.current = false;
    top.current = element.scrollTop;
    setAway(!follows.current);
  };
  const earlier = () => {
    kept.current = (box.current?.scrollHeight ?? 0) - (box.current?.scrollTop ?? 0);
    setMost(most + SHOWN);
  };
  const toEnd = () => {
    follows.current = true;
    setAway(false);
    box.current?.scrollTo({ top: box.current.scrollHeight });
  };
  const from = Math.max(0, shown.length - most);
  return (
    <div class="around">
      <div class="log" ref={box} onScroll={scrolled} tabIndex={0} role="log" aria-live="off" aria-label="What was said">
        <div class="inner">
          {from > 0 && (
            <button type="button" class="quiet" onClick={earlier}>
              Earlier messages ({from.toLocaleString()})
            </button>
          )}
          {shown.slice(from).map((message, index) => (
            <Message
              key={message.id}
              message={message}
              versions={siblings(talk.tree, message)}
              deeds={deeds}
              last={from + index === shown.length - 1}
              editing={editing === message.id}
              setEditing={setEditing}
            />
          ))}
          {children}
        </div>
      </div>
      {away && (
        <button type="button" class="newest" onClick={toEnd}>
          ↓ Newest
        </button>
      )}
    </div>
  );
}

/** Go to the message that the address names (`?at=ID`), on whichever branch it is. */
function useSought(talk: Talk, shown: chats.Message[], found: () => void): void {
  const at = Number(useQuery().get("at"));
  const done = useRef(0);
  useEffect(() => {
    const message = talk.tree.byId.get(at);
    if (at <= 0 || done.current === at || message === undefined) return;
    if (!shown.some(({ id }) => id === at)) {
      // On another branch: chosen first. Where that may not be, the page stays as it is.
      if (path(talk.tree, leaf(talk.tree, message).id).length > 0) talk.choose(at).catch(() => undefined);
      done.current = -at;
      return;
    }
    const element = document.getElementById(`message-${at}`);
    found();
    if (element === null) return;
    done.current = at;
    element.scrollIntoView({ block: "start" });
    element.focus({ preventScroll: true });
  });
}

interface UnansweredProps {
  fault: { code: string; text: string } | null;
  /** Whether what was said last has no answer. */
  waits: boolean;
  answer: (() => Promise<void>) | null;
}

function Unanswered({ fault, waits, answer }: UnansweredProps): JSX.Element | null {
  const task = useTask();
  if (fault === null && !waits) return null;
  return (
    <div class={fault === null ? "unanswered" : "unanswered warning"}>
      <p role={fault === null ? undefined : "alert"}>{fault === null ? "This has no answer." : fault.text}</p>
      <Problem text={task.problem} />
      {waits && answer !== null && (
        <button type="button" class="quiet" disabled={task.busy} onClick={() => void task.run(answer)}>
          {fault === null ? "Let the model answer" : "Try again"}
        </button>
      )}
    </div>
  );
}
