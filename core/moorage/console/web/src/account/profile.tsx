// The name that others see.
import type { JSX } from "preact";
import { useState } from "preact/hooks";
import * as api from "../api";
import { useTask } from "../forms";
import { type About, grouped } from "./about";
import { type PartProps, Section } from "./section";

export function Profile({ user, about, refresh }: PartProps & { user: api.User; about: About | null }): JSX.Element {
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
        <dt>Times are those of</dt>
        <dd>{Intl.DateTimeFormat().resolvedOptions().timeZone}, as your browser says</dd>
      </dl>
      {about !== null && <May about={about} />}
      <p class="hint">An administrator can change your username, e-mail address and role, or delete the account.</p>
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

/** What the role comes to, plugin by plugin. */
function May({ about }: { about: About }): JSX.Element {
  return (
    <details>
      <summary>What you may do here</summary>
      {grouped(about.rights.filter((right) => right.held)).map(([plugin, rights]) => (
        <div class="may" key={plugin}>
          <strong>{plugin}</strong>
          <ul>
            {rights.map((right) => (
              <li key={right.name} title={right.name}>
                {right.summary}
              </li>
            ))}
          </ul>
        </div>
      ))}
    </details>
  );
}
