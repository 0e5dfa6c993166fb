// Where one types, with the choice of the model beside it. What is typed survives a reload.
import type { JSX } from "preact";
import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";
import { Problem, useTask } from "../forms";
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
}

/** Where a finger types, the Enter key begins a new line: there is no other way to one. */
const FINGERS = matchMedia("(pointer: coarse)");

/** Whether this key sends what was typed. */
export const sends = (event: KeyboardEvent): boolean =>
  event.key === "Enter" && !event.shiftKey && (event.ctrlKey || event.metaKey || !FINGERS.matches);

const kept = (draft: string): string => sessionStorage.getItem(`moorage-chat-${draft}`) ?? "";
const keep = (draft: string, text: string): void => {
  if (text === "") sessionStorage.removeItem(`moorage-chat-${draft}`);
  else sessionStorage.setItem(`moorage-chat-${draft}`, text);
};

export function Composer(props: ComposerProps): JSX.Element {
  const { draft, send, live, stop, editLast, focus = false, refresh } = props;
  const [text, setText] = useState(() => kept(draft));
  const area = useRef<HTMLTextAreaElement>(null);
  const task = useTask(refresh);
  const type = (typed: string) => {
    setText(typed);
    keep(draft, typed);
  };
  useEffect(() => {
    if (focus && !FINGERS.matches) area.current?.focus();
  }, []);
  useLayoutEffect(() => grown(area.current), [text]);
  const submit = async () => {
    const content = text.trim();
    if (content === "" || live !== null || task.busy) return;
    if (await task.run(() => send(content))) type("");
  };
  const halt = () => void task.run(stop);
  const pressed = (event: KeyboardEvent) => {
    // Enter also ends the composition of a character.
    if (event.isComposing) return;
    if (sends(event)) {
      event.preventDefault();
      void submit();
    } else if (event.key === "Escape") {
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
      <textarea
        ref={area}
        rows={1}
        value={text}
        placeholder="Message"
        aria-label="Message"
        readOnly={task.busy && live === null}
        onInput={(event) => type(event.currentTarget.value)}
        onKeyDown={pressed}
      />
      <div class="choice">
        <Models {...props} />
        <Options {...props} />
        {live === null ? (
          <button type="submit" class="send" disabled={task.busy || text.trim() === ""}>
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

/** As high as its text, as far as the style sheet lets it. */
export function grown(area: HTMLTextAreaElement | null): void {
  if (area === null) return;
  area.style.height = "auto";
  area.style.height = `${area.scrollHeight + 2}px`;
}
