// What can be done with a session as a whole: stop, resume, upgrade, delete.
import type { JSX } from "preact";
import { Confirm, type Task } from "../forms";
import * as sessions from "./sessions";

/** Called after a deed with what is to be said of it; `gone`: the session is no more. */
export type Done = (text: string, gone: boolean) => Promise<void>;

interface ControlsProps {
  mount: string;
  session: sessions.Session;
  permissions: string[];
  newer: boolean;
  task: Task;
  done: Done;
}

const PAST: Record<sessions.Deed, string> = { stop: "Stopped", resume: "Resumed", upgrade: "Upgraded" };

export function Controls({ mount, session, permissions, newer, task, done }: ControlsProps): JSX.Element {
  const { id, name, status } = session;
  const mayControl = permissions.includes(sessions.MAY.control);
  const act = (deed: sessions.Deed) => () =>
    void task.run(async () => {
      await sessions.control(mount, id, deed);
      await done(`${PAST[deed]}: ${name}.`, false);
    });
  const erase = () =>
    void task.run(async () => {
      await sessions.remove(mount, id);
      await done(`Deleted: ${name}. The project's files are where they were.`, true);
    });
  const button = (deed: sessions.Deed, label: string) => (
    <button type="button" class="quiet" disabled={task.busy} onClick={act(deed)}>
      {label}
      <span class="unseen"> {name}</span>
    </button>
  );
  return (
    <>
      {mayControl && (status === "stopped" || status === "failed") && button("resume", "Resume")}
      {mayControl && (status === "running" || status === "starting") && button("stop", "Stop")}
      {mayControl && newer && !sessions.moves(status) && button("upgrade", "Upgrade")}
      {permissions.includes(sessions.MAY.delete) && (
        <Confirm
          label="Delete"
          about={name}
          question="Delete the session? What its agent knows is lost; the project's files stay."
          yes="Delete it"
          busy={task.busy}
          act={erase}
        />
      )}
    </>
  );
}
