// A new password. All other sessions end by it.
import type { JSX } from "preact";
import { useState } from "preact/hooks";
import * as api from "../api";
import { DIFFERENT, newPassword, NewPassword, useTask } from "../forms";
import { CHANGED } from "./changes";
import { type PartProps, Section } from "./section";

export function Password({ username, refresh }: PartProps & { username: string }): JSX.Element {
  const task = useTask(refresh);
  const [said, setSaid] = useState<string | null>(null);
  const submit = (event: SubmitEvent) => {
    event.preventDefault();
    const form = event.currentTarget as HTMLFormElement;
    const fields = new FormData(form);
    const password = newPassword(fields);
    setSaid(null);
    if (password === null) {
      task.setProblem(DIFFERENT);
      return;
    }
    void task.run(async () => {
      await api.changePassword(String(fields.get("current")), password);
      form.reset();
      setSaid("Changed. Everywhere else you are signed out.");
      window.dispatchEvent(new Event(CHANGED));
    });
  };
  return (
    <Section title="Password" task={task} said={said} hint="A new password signs you out everywhere but here.">
      <form onSubmit={submit}>
        {/* For password managers: whose password it is. */}
        <input class="unseen" type="text" name="username" autocomplete="username" value={username} readOnly tabIndex={-1} aria-hidden="true" />
        <label>
          Current password
          <input name="current" type="password" autocomplete="current-password" placeholder="empty if you have none yet" />
        </label>
        <NewPassword label="New password" />
        <button type="submit" disabled={task.busy}>
          {task.busy ? "Changing…" : "Change the password"}
        </button>
      </form>
    </Section>
  );
}
