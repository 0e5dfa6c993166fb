// What forms share: a task that is under way or failed, new passwords, ways in at providers, questions before harm.
import type { ComponentChildren, JSX } from "preact";
import { useEffect, useId, useRef, useState } from "preact/hooks";
import { ApiError, passwordMin, type Provider } from "./api";

export const words = (error: unknown): string => (error instanceof Error ? error.message : String(error));

export interface Task {
  busy: boolean;
  problem: string | null;
  setProblem: (text: string | null) => void;
  /** Do it, unless it is being done; true when it went well. A 401 is told to `signedOut`. */
  run: (work: () => Promise<void>) => Promise<boolean>;
}

export function useTask(signedOut?: () => Promise<void>, explain: (error: unknown) => string = words): Task {
  const [busy, setBusy] = useState(false);
  const [problem, setProblem] = useState<string | null>(null);
  const under = useRef(false);
  const run = async (work: () => Promise<void>) => {
    if (under.current) return false;
    under.current = true;
    setBusy(true);
    setProblem(null);
    try {
      await work();
      return true;
    } catch (error) {
      if (error instanceof ApiError && error.status === 401 && signedOut !== undefined) {
        setProblem("You were signed out before this was done. Do it again.");
        await signedOut();
      } else setProblem(explain(error));
      return false;
    } finally {
      under.current = false;
      setBusy(false);
    }
  };
  return { busy, problem, setProblem, run };
}

export function useTitle(title: string): void {
  useEffect(() => {
    document.title = `${title} – Moorage`;
  }, [title]);
}

/** An error beside its form. The region is there from the start, so that it is read out when it fills. */
export function Problem({ text }: { text: string | null }): JSX.Element {
  return (
    <p class="problem" role="alert">
      {text}
    </p>
  );
}

export const DIFFERENT = "The two passwords differ. Type the same one twice.";

/** The form's new password; null when its two fields differ. */
export function newPassword(form: FormData): string | null {
  const password = String(form.get("password"));
  return password === form.get("again") ? password : null;
}

/** Says when Caps Lock is on, which the dots of a password hide. `look` is for the keys of the fields around it. */
export function useCaps(): { look: (event: KeyboardEvent) => void; hint: JSX.Element } {
  const [on, setOn] = useState(false);
  const look = (event: KeyboardEvent) => setOn(event.getModifierState?.("CapsLock") ?? false);
  const hint = (
    <p class="caps" role="status">
      {on && "Caps Lock is on."}
    </p>
  );
  return { look, hint };
}

export function NewPassword({ label = "Password" }: { label?: string }): JSX.Element {
  const [shown, setShown] = useState(false);
  const caps = useCaps();
  const rule = useId();
  const hints = {
    autocomplete: "new-password",
    autocapitalize: "none",
    spellcheck: false,
    required: true,
    "aria-describedby": rule,
    onKeyDown: caps.look,
    onKeyUp: caps.look,
  } as const;
  const field = (name: string) =>
    shown ? <input key={name} type="text" name={name} {...hints} /> : <input key={name} type="password" name={name} {...hints} />;
  return (
    <>
      <label>
        {label}
        {field("password")}
      </label>
      <label>
        {label}, once more
        {field("again")}
      </label>
      <p id={rule} class="hint rule">
        At least {passwordMin()} characters: the longer, the better. Not one of the most common ones, nor your own name.
      </p>
      {caps.hint}
      <label class="tick">
        <input type="checkbox" checked={shown} onChange={(event) => setShown(event.currentTarget.checked)} />
        Show what I type
      </label>
    </>
  );
}

/** Links to the login at each provider. They leave the page, so they say where to come back to. */
export function ProviderLinks({ providers, query }: { providers: Provider[]; query: Record<string, string> }): JSX.Element | null {
  if (providers.length === 0) return null;
  return (
    <div class="providers">
      <p class="or">or</p>
      {providers.map(({ name, label }) => (
        <a class="button quiet" key={name} href={`/auth/${encodeURIComponent(name)}?${new URLSearchParams(query)}`}>
          Continue with {label}
        </a>
      ))}
    </div>
  );
}

interface Question {
  /** What the button says, and for a screen reader what it is about. */
  label: string;
  about?: string;
  question: string;
  yes: string;
  busy: boolean;
  act: () => void;
}

/** A button that asks back in its own place. Escape and "Keep" go back to it. */
export function Confirm({ label, about, question, yes, busy, act }: Question): JSX.Element {
  const [asking, setAsking] = useState(false);
  const back = useRef(false);
  const start = useRef<HTMLButtonElement>(null);
  const keep = useRef<HTMLButtonElement>(null);
  const id = useId();
  useEffect(() => {
    if (asking) keep.current?.focus();
    else if (back.current) start.current?.focus();
    back.current = false;
  }, [asking]);
  const leave = () => {
    back.current = true;
    setAsking(false);
  };
  if (!asking) {
    return (
      <button ref={start} type="button" class="quiet" disabled={busy} onClick={() => setAsking(true)}>
        {label}
        {about !== undefined && <span class="unseen"> {about}</span>}
      </button>
    );
  }
  const escape = (event: KeyboardEvent) => {
    if (event.key === "Escape") leave();
  };
  return (
    <div class="confirm" role="group" aria-labelledby={id} onKeyDown={escape}>
      <span id={id}>{question}</span>
      <button
        type="button"
        class="danger"
        disabled={busy}
        onClick={() => {
          leave();
          act();
        }}
      >
        {yes}
      </button>
      <button ref={keep} type="button" class="quiet" onClick={leave}>
        Keep
      </button>
    </div>
  );
}

/** Children that say how something went, read out without moving the focus. */
export function Said({ children }: { children: ComponentChildren }): JSX.Element {
  return (
    <p class="said" role="status">
      {children}
    </p>
  );
}
