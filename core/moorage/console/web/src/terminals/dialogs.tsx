// What is asked before a terminal is started, renamed or ended.
import type { JSX } from "preact";
import { useEffect, useState } from "preact/hooks";
import * as api from "../api";
import { Dialog } from "../dialog";
import { Confirm, Problem, useTask } from "../forms";
import * as tmux from "../tmux";

interface NewProps {
  mount: string;
  refresh: () => Promise<void>;
  onClose: () => void;
  onMade: (session: tmux.Session) => void;
}

const number = (form: FormData, name: string): Record<string, number> => {
  const value = String(form.get(name) ?? "").trim();
  return value === "" ? {} : { [name]: Number(value) };
};

export function NewTerminal({ mount, refresh, onClose, onMade }: NewProps): JSX.Element {
  const task = useTask(refresh);
  const submit = (event: SubmitEvent) => {
    event.preventDefault();
    const form = new FormData(event.currentTarget as HTMLFormElement);
    const name = String(form.get("name")).trim();
    void task.run(async () => {
      const body = { ...(name === "" ? {} : { name }), ...number(form, "cols"), ...number(form, "rows") };
      onMade((await api.post<{ session: tmux.Session }>(`${mount}/api/sessions`, body)).session);
    });
  };
  return (
    <Dialog title="New terminal" onClose={onClose}>
      <form onSubmit={submit}>
        <label>
          Name
          <input name="name" maxLength={200} autocomplete="off" autocapitalize="none" spellcheck={false} placeholder="a number, if you give none" autofocus />
        </label>
        <details>
          <summary>Size</summary>
          <div class="pair">
            <label>
              Columns
              <input name="cols" type="number" min={20} max={500} placeholder="80" inputMode="numeric" />
            </label>
            <label>
              Rows
              <input name="rows" type="number" min={5} max={300} placeholder="24" inputMode="numeric" />
            </label>
          </div>
          <p class="hint">Whoever types in it can change the size later.</p>
        </details>
        <Problem text={task.problem} />
        <div class="choice">
          <button type="submit" disabled={task.busy}>
            {task.busy ? "Starting…" : "Start"}
          </button>
          <button type="button" class="quiet" onClick={onClose}>
            Cancel
          </button>
        </div>
      </form>
    </Dialog>
  );
}

interface ManageProps {
  mount: string;
  session: tmux.Session;
  permissions: string[];
  refresh: () => Promise<void>;
  /** Told the new name, or null once it has ended; nothing when nothing was changed. */
  onClose: (name?: string | null) => void;
}

export function ManageTerminal({ mount, session, permissions, refresh, onClose }: ManageProps): JSX.Element {
  const task = useTask(refresh);
  const path = tmux.sessionPath(mount, session.id);
  const rename = (event: SubmitEvent) => {
    event.preventDefault();
    const name = String(new FormData(event.currentTarget as HTMLFormElement).get("name")).trim();
    if (name === session.name) {
      onClose();
      return;
    }
    void task.run(async () => {
      onClose((await api.patch<{ session: tmux.Session }>(path, { name })).session.name);
    });
  };
  const end = () =>
    task.run(async () => {
      await api.remove(path);
      onClose(null);
    });
  return (
    <Dialog title={`Terminal ${session.name}`} onClose={() => onClose()}>
      {permissions.includes(tmux.MAY.rename) && (
        <form class="row" onSubmit={rename}>
          <label>
            Name
            <input name="name" defaultValue={session.name} maxLength={200} required autocomplete="off" autocapitalize="none" spellcheck={false} autofocus onFocus={(event) => event.currentTarget.select()} />
          </label>
          <button type="submit" disabled={task.busy}>
            Rename
          </button>
        </form>
      )}
      <Problem text={task.problem} />
      {permissions.includes(tmux.MAY.end) && (
        <section class="ending">
          <h3>End it</h3>
          <p>The programs in it are ended, for everybody{session.recording ? "; its recording is kept" : ""}.</p>
          <Inside path={path} />
          <Confirm
            label="End this terminal…"
            question={`End ${session.name} and what runs in it?`}
            yes="End it"
            busy={task.busy}
            act={() => void end()}
          />
        </section>
      )}
    </Dialog>
  );
}

interface Window {
  index: number;
  name: string;
  panes: unknown[];
}

/** The windows of a session, so that one sees what would end. */
function Inside({ path }: { path: string }): JSX.Element | null {
  const [windows, setWindows] = useState<Window[] | null>(null);
  useEffect(() => {
    let gone = false;
    // The dialog says enough without it.
    const load = async () => {
      const found = await api.get<{ windows: Window[] }>(path).catch(() => ({ windows: [] }));
      if (!gone) setWindows(found.windows);
    };
    void load();
    return () => {
      gone = true;
    };
  }, [path]);
  if (windows === null || windows.length === 0) return null;
  return (
    <ul aria-label="What runs in it">
      {windows.map((window) => (
        <li key={window.index}>
          {window.index}: {window.name}
          {window.panes.length > 1 && ` (${window.panes.length} panes)`}
        </li>
      ))}
    </ul>
  );
}
