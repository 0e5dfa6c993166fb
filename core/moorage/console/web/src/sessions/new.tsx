// A new session: for which project, and what it is called.
import type { JSX } from "preact";
import { Dialog } from "../dialog";
import { Problem, useTask } from "../forms";
import * as sessions from "./sessions";

interface NewSessionProps {
  mount: string;
  refresh: () => Promise<void>;
  onClose: () => void;
  onMade: (session: sessions.Session) => void;
}

export function NewSession({ mount, refresh, onClose, onMade }: NewSessionProps): JSX.Element {
  const task = useTask(refresh);
  const submit = (event: SubmitEvent) => {
    event.preventDefault();
    const form = new FormData(event.currentTarget as HTMLFormElement);
    const text = (name: string) => String(form.get(name)).trim();
    void task.run(async () => onMade(await sessions.create(mount, text("path"), text("name"))));
  };
  const plain = { autocomplete: "off", autocapitalize: "none", spellcheck: false } as const;
  return (
    <Dialog title="New session" onClose={onClose}>
      <form onSubmit={submit}>
        <label>
          Folder of the project
          <input name="path" maxLength={4096} aria-describedby="about-path" {...plain} autofocus />
        </label>
        <p class="hint" id="about-path">
          A folder on the server, below one that whoever runs it allows. Empty: a folder of your own.
        </p>
        <label>
          Name
          <input name="name" maxLength={255} placeholder="The folder's name" {...plain} />
        </label>
        <Problem text={task.problem} />
        <button type="submit" disabled={task.busy}>
          Start
        </button>
      </form>
    </Dialog>
  );
}
