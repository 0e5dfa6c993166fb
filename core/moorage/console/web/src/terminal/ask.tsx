// Questions before something is done: the answer comes as a promise.
import type { JSX, RefObject } from "preact";
import { useLayoutEffect, useRef, useState } from "preact/hooks";
import { Dialog } from "../dialog";

export interface Question {
  title: string;
  text?: string;
  /** A text that is shown as it is. */
  quote?: string;
  yes: string;
  no?: string;
  danger?: boolean;
  /** Asks for a text, which begins as this one. */
  field?: { label: string; value: string };
}

/** `ask(question)` gives what was typed ("" without a field), or null when it was not to be. */
export function useQuestions(after: () => void): [JSX.Element | null, (question: Question) => Promise<string | null>] {
  const [open, setOpen] = useState<{ question: Question; answer: (text: string | null) => void } | null>(null);
  const ask = (question: Question): Promise<string | null> =>
    new Promise((answer) => {
      setOpen((before) => {
        before?.answer(null);
        return { question, answer };
      });
    });
  const close = (text: string | null) => {
    setOpen(null);
    open?.answer(text);
    after();
  };
  return [open && <Ask key={open.question.title} question={open.question} done={close} />, ask];
}

function Ask({ question, done }: { question: Question; done: (text: string | null) => void }): JSX.Element {
  const { title, text, quote, yes, no = "Cancel", danger = false, field } = question;
  const first = useRef<HTMLElement>(null);
  // The harmless answer, or the field.
  useLayoutEffect(() => {
    first.current?.focus();
    // What is typed replaces it.
    if (first.current instanceof HTMLInputElement) first.current.select();
  }, []);
  const submit = (event: SubmitEvent) => {
    event.preventDefault();
    done(field ? String(new FormData(event.currentTarget as HTMLFormElement).get("text")) : "");
  };
  return (
    <Dialog title={title} onClose={() => done(null)}>
      <form onSubmit={submit}>
        {text !== undefined && <p>{text}</p>}
        {quote !== undefined && <pre class="quote">{quote}</pre>}
        {field && (
          <label>
            {field.label}
            <input name="text" defaultValue={field.value} maxLength={100} required autocomplete="off" ref={first as RefObject<HTMLInputElement>} />
          </label>
        )}
        <div class="choice">
          <button type="submit" class={danger ? "danger" : ""}>
            {yes}
          </button>
          <button type="button" class="quiet" onClick={() => done(null)} ref={field ? null : (first as RefObject<HTMLButtonElement>)}>
            {no}
          </button>
        </div>
      </form>
    </Dialog>
  );
}
