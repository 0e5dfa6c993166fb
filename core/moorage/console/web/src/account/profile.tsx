// The name that others see.
import type { JSX } from "preact";
import { useState } from "preact/hooks";
import * as api from "../api";
import { useTask } from "../forms";
import { type PartProps, Section } from "./section";

export function Profile({ user, refresh }: PartProps & { user: api.User }): JSX.Element {
  const task = useTask(refresh);
  const [said, setSaid] = useState<string | null>(null);
  const submit = (event: SubmitEvent) => {
    event.preventDefault();
    const name = String(new FormData(event.currentTarget as HTMLFormElement).get("name"));
    setSaid(null);
    void task.run(async () => {
      await api.put("/api/me", { display_name: name });
      await refresh();
      setSaid("Saved.");
    });
  };
  return (
    <Section title="Profile" task={task} said={said}>
      <dl class="facts">
        <dt>Username</dt>
        <dd>{user.username}</dd>
        <dt>E-mail</dt>
        <dd>{user.email ?? "none"}</dd>
        <dt>Role</dt>
        <dd>{user.role}</dd>
      </dl>
      <form class="row" onSubmit={submit}>
        <label>
          Name that others see
          <input name="name" defaultValue={user.name} maxLength={128} autocomplete="name" required />
        </label>
        <button type="submit" disabled={task.busy}>
          Save
        </button>
      </form>
    </Section>
  );
}
