// A question before harm: a dialog that names what is meant. It stays open while it is done, and when that failed.
import type { ComponentChildren, JSX } from "preact";
import { useLayoutEffect, useRef } from "preact/hooks";
import { Dialog } from "../dialog";
import { Problem, type Task, useTask } from "../forms";

interface QuestionProps {
  title: string;
  yes: string;
  /** What the button says while it is done. */
  doing?: string;
  harmless?: boolean;
  task: Task;
  act: () => void;
  onClose: () => void;
  children: ComponentChildren;
}

export function Question({ title, yes, doing = yes, harmless = false, task, act, onClose, children }: QuestionProps): JSX.Element {
  const keep = useRef<HTMLButtonElement>(null);
  // The harmless one, so that a key too many does nothing.
  useLayoutEffect(() => keep.current?.focus(), []);
  return (
    <Dialog title={title} onClose={onClose}>
      {children}
      <Problem text={task.problem} />
      <div class="choice">
        <button type="button" class={harmless ? undefined : "danger"} disabled={task.busy} onClick={act}>
          {task.busy ? doing : yes}
        </button>
        <button ref={keep} type="button" class="quiet" onClick={onClose}>
          Cancel
        </button>
      </div>
    </Dialog>
  );
}

interface AskProps {
  title: string;
  yes: string;
  act: () => Promise<void>;
  refresh: () => Promise<void>;
  onClose: () => void;
  children: ComponentChildren;
}

/** `act` closes it by what it changes, or throws what is told here. */
export function Ask({ act, refresh, ...asked }: AskProps): JSX.Element {
  const task = useTask(refresh);
  return <Question {...asked} task={task} act={() => void task.run(act)} />;
}
