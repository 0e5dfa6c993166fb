// Signing in: a name or an e-mail address and a password, or an account elsewhere.
import type { JSX } from "preact";
import { useEffect, useRef } from "preact/hooks";
import * as api from "../api";
import { Problem, ProviderLinks, useTask, useTitle, words } from "../forms";

interface LoginProps {
  state: api.State;
  /** Why the last attempt, at a provider, failed. */
  refusal: string | null;
  done: () => Promise<void>;
}

export function Login({ state, refusal, done }: LoginProps): JSX.Element {
  const task = useTask(undefined, reason);
  const first = useRef<HTMLInputElement>(null);
  useTitle("Sign in");
  useEffect(() => {
    first.current?.focus();
    task.setProblem(refusal);
  }, []);

  const submit = (event: SubmitEvent) => {
    event.preventDefault();
    const form = new FormData(event.currentTarget as HTMLFormElement);
    void task.run(async () => {
      await api.login(String(form.get("username")), String(form.get("password")));
      await done();
    });
  };

  return (
    <main class="narrow">
      <h1>Sign in</h1>
      {state.setup && (
        <p class="hint">
          Nobody has an account yet. Open the link that <code>moorage serve</code> printed when it started, or run{" "}
          <code>moorage users create NAME --role owner</code> on the server.
        </p>
      )}
      <form onSubmit={submit}>
        <label>
          Username or e-mail
          <input ref={first} name="username" autocomplete="username" autocapitalize="none" spellcheck={false} required />
        </label>
        <label>
          Password
          <input name="password" type="password" autocomplete="current-password" required />
        </label>
        <Problem text={task.problem} />
        <button type="submit" disabled={task.busy}>
          {task.busy ? "Signing in…" : "Sign in"}
        </button>
      </form>
      <ProviderLinks providers={state.providers} query={{ next: location.pathname + location.search }} />
    </main>
  );
}

function reason(error: unknown): string {
  if (error instanceof api.ApiError && error.status === 401) return "The name or the password is wrong.";
  return words(error);
}
