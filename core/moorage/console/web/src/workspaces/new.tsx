// A new workspace, and a new name for one: checked while it is typed.
import type { JSX } from "preact";
import { useState } from "preact/hooks";
import { Dialog } from "../dialog";
import { Problem, useTask } from "../forms";
import { nameProblem } from "./workspaces";

interface NamingProps {
  title: string;
  hint: string;
  button: string;
  value?: string;
  /** Names that are taken. */
  taken: readonly string[];
  refresh: () => Promise<void>;
  onClose: () => void;
  onName: (name: string) => Promise<void>;
}

export function Naming({ title, hint, button, value = "", taken, refresh, onClose, onName }: NamingProps): JSX.Element {
  const task = useTask(refresh);
  const [name, setName] = useState(value);
  const wrong = nameProblem(name, taken);
  const submit = (event: SubmitEvent) => {
    event.preventDefault();
    if (wrong === null && name !== "") void task.run(() => onName(name));
  };
  return (
    <Dialog title={title} onClose={onClose}>
      <form onSubmit={submit}>
        <label>
          Name
          <input
            name="name"
            value={name}
            required
            autocomplete="off"
            autocapitalize="none"
            spellcheck={false}
            autofocus
            aria-invalid={wrong !== null}
            aria-describedby="about-name name-problem"
            onInput={(event) => {
              setName(event.currentTarget.value);
              task.setProblem(null);
            }}
          />
        </label>
        <p class="hint" id="about-name">
          {hint}
        </p>
        <p class="problem line" id="name-problem" role="alert">
          {wrong}
        </p>
        <Problem text={task.problem} />
        <button type="submit" disabled={task.busy || wrong !== null || name === ""}>
          {button}
        </button>
      </form>
    </Dialog>
  );
}
