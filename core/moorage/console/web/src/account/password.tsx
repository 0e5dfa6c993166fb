// A new password. All other sessions end by it.
import type { JSX } from "preact";
import { useState } from "preact/hooks";
import * as api from "../api";
import { DIFFERENT, newPassword, NewPassword, useTask } from "../forms";
import type { About } from "./about";
import { CHANGED } from "./changes";
import { type PartProps, Section } from "./section";

const NONE_YET =
  "You have none, as you sign in elsewhere. One lets you in when that place is away. It can be set in the first minutes after signing in.";

interface PasswordProps extends PartProps {
  username: string;
  about: About | null;
  /** Ask again whether there is a password. */
  again: () => Promise<void>;
}

export function Password({ username, about, again, refresh }: PasswordProps): JSX.Element {
  const task = useTask(refresh);
  const [said, setSaid] = useState<string | null>(null);
  // Who always came by a provider has none yet.
  const none = about?.has_password === false;
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
      await api.changePassword(String(fields.get("current") ?? ""), password);
      form.reset();
      setSaid(`${none ? "Set" : "Changed"}. Everywhere else you are signed out.`);
      await again();
      window.dispatchEvent(new Event(CHANGED));
    });
  };
  return (
    <Section title="Password" task={task} said={said} hint={none ? NONE_YET : "A new password signs you out everywhere but here."}>
      <form onSubmit={submit}>
        {/* For password managers: whose password it is. */}
        <input class="unseen" type="text" name="username" autocomplete="username" value={username} readOnly tabIndex={-1} aria-hidden="true" />
        {!none && (
          <label>
            Current password
            <input name="current" type="password" autocomplete="current-password" required={about !== null} />
          </label>
        )}
        <NewPassword label="New password" />
        <button type="submit" disabled={task.busy}>
          {task.busy ? "Just a moment…" : none ? "Set the password" : "Change the password"}
        </button>
      </form>
    </Section>
  );
}
