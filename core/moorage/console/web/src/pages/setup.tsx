// The first start: whoever holds the one-time token makes the owner's account.
import type { JSX } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import * as api from "../api";

export function Setup({ token, done }: { token: string; done: () => Promise<void> }): JSX.Element {
  const [problem, setProblem] = useState<string | null>(null);
  const [busy, setBusy] = useState(false);
  const first = useRef<HTMLInputElement>(null);
  useEffect(() => {
    document.title = "First start – Moorage";
    first.current?.focus();
  }, []);

  const submit = async (event: SubmitEvent) => {
    event.preventDefault();
    const form = new FormData(event.currentTarget as HTMLFormElement);
    const password = String(form.get("password"));
    if (password !== form.get("again")) {
      setProblem("The two passwords differ. Type the same one twice.");
      return;
    }
    setBusy(true);
    try {
      await api.setup(token, String(form.get("username")), password);
      await done();
    } catch (error) {
      setProblem(error instanceof Error ? error.message : String(error));
      setBusy(false);
    }
  };

  return (
    <main class="narrow">
      <h1>Make the owner's account</h1>
      <p class="hint">This server is new. The owner may do everything on it, and lets others in.</p>
      <form onSubmit={(event) => void submit(event)}>
        <label>
          Username
          <input ref={first} name="username" autocomplete="username" autocapitalize="none" spellcheck={false} required />
        </label>
        <label>
          Password
          <input name="password" type="password" autocomplete="new-password" required />
        </label>
        <label>
          Password, once more
          <input name="again" type="password" autocomplete="new-password" required />
        </label>
        {problem !== null && (
          <p class="problem" role="alert">
            {problem}
          </p>
        )}
        <button type="submit" disabled={busy}>
          {busy ? "Making it…" : "Make the account"}
        </button>
      </form>
    </main>
  );
}
