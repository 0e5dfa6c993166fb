// Where one types, with the choice of the model beside it. What is typed survives a reload.
import type { JSX } from "preact";
import { useEffect, useLayoutEffect, useMemo, useRef, useState } from "preact/hooks";
import { keep, kept } from "../drafts";
import { Problem, useTask } from "../forms";
import { VoiceChoice } from "../voice/choice";
import { dictation, type Field } from "../voice/dictation";
import type { Voice } from "../voice/offered";
import { reader } from "../voice/reader";
import { Heard, Speak } from "../voice/speak";
import { useWatched } from "../voice/watched";
import type * as chats from "./chats";
import { Models, Options } from "./choice";
import type { Live } from "./live";
import type { ChatProps } from "./page";

interface ComposerProps extends ChatProps {
  /** Under which name it is kept what was typed and not sent. */
  draft: string;
  options: chats.GenerationOptions;
  onOptions: (options: chats.GenerationOptions) => void;
  tools: string[] | null;
  onTools: (tools: string[]) => Promise<void>;
  /** Done when it is stored; until then what was typed stays. */
  send: (content: string) => Promise<void>;
  /** The answer that is being made. */
  live: Live | null;
  stop: () => Promise<void>;
  /** Change what was said last; where there is something. */
  editLast?: () => void;
  focus?: boolean;
  /** What of voice there is; null: nothing. */
  voice: Voice | null;
}

/** Where a finger types, the Enter key begins a new line: there is no other way to one. */
const FINGERS = matchMedia("(pointer: coarse)");

/** Whether this key sends what was typed. */
export const sends = (event: KeyboardEvent): boolean =>
  event.key === "Enter" && !event.shiftKey && (event.ctrlKey || event.metaKey || !FINGERS.matches);

export function Composer(props: ComposerProps): JSX.Element {
  const { draft, send, live, stop, editLast, focus = false, refresh, voice } = props;
  const [text, setText] = useState(() => kept(draft));
  const area = useRef<HTMLTextAreaElement>(null);
  const task = useTask(refresh);
  const listened = useWatched(dictation);
  // Who speaks writes between two drawings.
  const now = useRef(text);
  const type = (typed: string) => {
    now.current = typed;
    setText(typed);
    keep(draft, typed);
  };
  useEffect(() => {
    if (focus && !FINGERS.matches) area.current?.focus();
  }, []);
  useLayoutEffect(() => grown(area.current), [text]);
  const submit = async () => {
    if (live !== null || task.busy) return;
    // What was said last is still to come.
    if (dictation.on) return dictation.send();
    const content = now.current.trim();
    if (content === "") return;
    leads.current = draft === "new";
    if (await task.run(() => send(content))) type("");
    else leads.current = false;
  };
  /** What is said first leads to the conversation's own page. */
  const leads = useRef(false);
  const field = useDictated(area, now, type, submit);
  useHandsFree(voice, field, live === null && !task.busy && task.problem === null, leads);
  const halt = () => void task.run(stop);
  const pressed = (event: KeyboardEvent) => {
    // Enter also ends the composition of a character.
    if (event.isComposing) return;
    if (sends(event)) {
      event.preventDefault();
      void submit();
    } else if (event.key === "Escape" && dictation.on) dictation.end();
    else if (event.key === "Escape" && live === null && reader.key !== null) reader.stop();
    else if (event.key === "Escape") {
      // Out of the field, where the page's own keys are.
      if (live === null) area.current?.blur();
      else halt();
    } else if (event.key === "ArrowUp" && text === "" && live === null && editLast) {
      event.preventDefault();
      editLast();
    }
  };
  return (
    <form
      class="composer"
      onSubmit={(event) => {
        event.preventDefault();
        void submit();
      }}
    >
      <Problem text={task.problem} />
      {voice !== null && <Heard />}
      <div class="field">
        <textarea
          ref={area}
          rows={1}
          value={text}
          placeholder="Message"
          aria-label="Message"
          readOnly={task.busy && live === null}
          onInput={(event) => {
            type(event.currentTarget.value);
            dictation.typed();
          }}
          onKeyDown={pressed}
        />
        {voice !== null && voice.hears !== null && <Speak voice={voice} field={field} disabled={live !== null || task.busy} />}
      </div>
      <div class="choice">
        <Models {...props} />
        <Options {...props} />
        {voice !== null && <VoiceChoice voice={voice} />}
        {live === null ? (
          <button type="submit" class="send" disabled={task.busy || (text.trim() === "" && !listened.on)}>
            Send
          </button>
        ) : (
          <button type="button" class="send danger" disabled={live.stopping || live.id === ""} aria-keyshortcuts="Escape" onClick={halt}>
            {live.stopping ? "Stopping…" : "Stop"}
          </button>
        )}
      </div>
    </form>
  );
}

/** The composer's text for who speaks it. It is the same for as long as the composer is there. */
function useDictated(area: { current: HTMLTextAreaElement | null }, now: { current: string }, type: (text: string) => void, submit: () => Promise<void>): Field {
  const newest = useRef({ type, submit });
  newest.current = { type, submit };
  const caret = useRef<number | null>(null);
  useLayoutEffect(() => {
    // Where a finger types, that would open the keyboard.
    if (caret.current !== null && !(FINGERS.matches && document.activeElement !== area.current)) area.current?.setSelectionRange(caret.current, caret.current);
    caret.current = null;
  });
  return useMemo(
    () => ({
      read: () => ({ text: now.current, from: area.current?.selectionStart ?? now.current.length, to: area.current?.selectionEnd ?? now.current.length }),
      write: (text, at) => {
        caret.current = at;
        newest.current.type(text);
      },
      focus: () => {
        if (!FINGERS.matches) area.current?.focus();
      },
      send: () => void newest.current.submit(),
    }),
    [],
  );
}

/** Listen again for whoever talks hands-free, as soon as the answer is told. */
function useHandsFree(voice: Voice | null, field: Field, free: boolean, leads: { current: boolean }): void {
  const { key } = useWatched(reader);
  const { phase, talking } = dictation;
  useEffect(() => {
    if (voice !== null && free && key === null && phase === "over" && talking) dictation.goOn(voice, field);
  });
  useEffect(() => () => (leads.current ? dictation.leave() : dictation.end()), []);
}

/** As high as its text, as far as the style sheet lets it. */
export function grown(area: HTMLTextAreaElement | null): void {
  if (area === null) return;
  area.style.height = "auto";
  area.style.height = `${area.scrollHeight + 2}px`;
}
