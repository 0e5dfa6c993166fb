// The first start: whoever holds the one-time token makes the owner's account.
import type { JSX } from "preact";
import { useEffect, useRef } from "preact/hooks";
import * as api from "../api";
import { DIFFERENT, newPassword, NewPassword, Problem, useTask, useTitle } from "../forms";

export function Setup({ token, done }: { token: string; done: () => Promise<void> }): JSX.Element {
  const task = useTask();
  const first = useRef<HTMLInputElement>(null);
  useTitle("First start");
  useEffect(() => first.current?.focus(), []);

  const submit = (event: SubmitEvent) => {
    event.preventDefault();
    const form = new FormData(event.currentTarget as HTMLFormElement);
    const password = newPassword(form);
    if (password === null) {
      task.setProblem(DIFFERENT);
      return;
    }
    void task.run(async () => {
      await api.setup(token, String(form.get("username")), password);
      await done();
    });
  };

  return (
    <main class="narrow">
      <h1>Make the owner's account</h1>
      <p class="hint">This server is new. The owner may do everything on it, and lets others in.</p>
      <form onSubmit={submit}>
        <label>
          Username
          <input ref={first} name="username" autocomplete="username" autocapitalize="none" spellcheck={false} required />
        </label>
        <NewPassword />
        <Problem text={task.problem} />
        <button type="submit" disabled={task.busy}>
          {task.busy ? "Making it…" : "Make the account"}
        </button>
      </form>
    </main>
  );
}
