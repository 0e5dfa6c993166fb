// A question before harm: a dialog that names what is meant. It stays open while it is done, and when that failed.
import type { ComponentChildren, JSX } from "preact";
import { useLayoutEffect, useRef } from "preact/hooks";
import { Dialog } from "../dialog";
import { Problem, useTask } from "../forms";

interface AskProps {
  title: string;
  yes: string;
  act: () => Promise<void>;
  refresh: () => Promise<void>;
  onClose: () => void;
  children: ComponentChildren;
}

/** `act` closes it by what it changes, or throws what is told here. */
export function Ask({ title, yes, act, refresh, onClose, children }: AskProps): JSX.Element {
  const task = useTask(refresh);
  const keep = useRef<HTMLButtonElement>(null);
  // The harmless one, so that a key too many does nothing.
  useLayoutEffect(() => keep.current?.focus(), []);
  return (
    <Dialog title={title} onClose={onClose}>
      {children}
      <Problem text={task.problem} />
      <div class="choice">
        <button type="button" class="danger" disabled={task.busy} onClick={() => void task.run(act)}>
          {yes}
        </button>
        <button ref={keep} type="button" class="quiet" onClick={onClose}>
          Cancel
        </button>
      </div>
    </Dialog>
  );
}
