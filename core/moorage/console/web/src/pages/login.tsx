// Signing in with a name or an e-mail address and a password.
import type { JSX } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import * as api from "../api";

export function Login({ setup, done }: { setup: boolean; done: () => Promise<void> }): JSX.Element {
  const [problem, setProblem] = useState<string | null>(null);
  const [busy, setBusy] = useState(false);
  const first = useRef<HTMLInputElement>(null);
  useEffect(() => {
    document.title = "Sign in – Moorage";
    first.current?.focus();
  }, []);

  const submit = async (event: SubmitEvent) => {
    event.preventDefault();
    const form = new FormData(event.currentTarget as HTMLFormElement);
    setBusy(true);
    try {
      await api.login(String(form.get("username")), String(form.get("password")));
      await done();
    } catch (error) {
      setProblem(refusal(error));
      setBusy(false);
    }
  };

  return (
    <main class="narrow">
      <h1>Sign in</h1>
      {setup && (
        <p class="hint">
          Nobody has an account yet. Open the link that <code>moorage serve</code> printed when it started, or run{" "}
          <code>moorage users create NAME --role owner</code> on the server.
        </p>
      )}
      <form onSubmit={(event) => void submit(event)}>
        <label>
          Username or e-mail
          <input ref={first} name="username" autocomplete="username" autocapitalize="none" spellcheck={false} required />
        </label>
        <label>
          Password
          <input name="password" type="password" autocomplete="current-password" required />
        </label>
        {problem !== null && (
          <p class="problem" role="alert">
            {problem}
          </p>
        )}
        <button type="submit" disabled={busy}>
          {busy ? "Signing in…" : "Sign in"}
        </button>
      </form>
    </main>
  );
}

function refusal(error: unknown): string {
  if (error instanceof api.ApiError && error.status === 401) return "The name or the password is wrong.";
  return error instanceof Error ? error.message : String(error);
}
