// A part of the account page: a heading that takes the focus when what had it is gone, and what was said last.
import type { ComponentChildren, JSX, RefObject } from "preact";
import { useEffect, useId, useRef, useState } from "preact/hooks";
import { Problem, Said, type Task } from "../forms";

export interface PartProps {
  /** Ask the server again who is signed in. */
  refresh: () => Promise<void>;
}

interface SectionProps {
  title: string;
  hint?: string;
  task: Task;
  said?: string | null;
  heading?: RefObject<HTMLHeadingElement | null>;
  children: ComponentChildren;
}

export function Section({ title, hint, task, said, heading, children }: SectionProps): JSX.Element {
  const id = useId();
  return (
    <section aria-labelledby={id}>
      <h2 id={id} ref={heading ?? null} tabIndex={-1}>
        {title}
      </h2>
      {hint !== undefined && <p class="hint">{hint}</p>}
      {children}
      <Problem text={task.problem} />
      <Said>{said}</Said>
    </section>
  );
}

/**
 * A list that the server holds: null until it came. `load` fetches it again and throws what goes wrong. Every so many
 * milliseconds, and when somebody comes back to the tab, it is looked at again; what goes wrong then is told next time.
 */
export function useList<T>(task: Task, fetch: () => Promise<T>, every = 60_000): { list: T | null; load: () => Promise<void> } {
  const [list, setList] = useState<T | null>(null);
  const came = useRef(false);
  const load = async () => {
    setList(await fetch());
    // Why it did not come is over; what else went wrong stays to be read.
    if (!came.current) task.setProblem(null);
    came.current = true;
  };
  useEffect(() => {
    void task.run(load);
    const look = () => {
      if (document.visibilityState !== "hidden") load().catch(() => {});
    };
    const timer = setInterval(look, every);
    document.addEventListener("visibilitychange", look);
    return () => {
      clearInterval(timer);
      document.removeEventListener("visibilitychange", look);
    };
  }, []);
  return { list, load };
}

/** What a list shows before it came. */
export function Waiting({ task, load }: { task: Task; load: () => Promise<void> }): JSX.Element | null {
  if (task.busy) return <p class="loading">Loading…</p>;
  if (task.problem === null) return null;
  return (
    <button type="button" class="quiet" onClick={() => void task.run(load)}>
      Try again
    </button>
  );
}
