// Signing in: a name or an e-mail address and a password, or an account elsewhere.
import type { JSX } from "preact";
import { useEffect, useRef } from "preact/hooks";
import * as api from "../api";
import { Problem, ProviderLinks, useCaps, useTask, useTitle, words } from "../forms";

interface LoginProps {
  state: api.State;
  /** Why the last attempt, at a provider, failed. */
  refusal: string | null;
  /** Whose login ended in the middle of something, which is still there. */
  again?: string;
  done: () => Promise<void>;
}

export function Login({ state, refusal, again, done }: LoginProps): JSX.Element {
  const task = useTask(undefined, reason);
  const caps = useCaps();
  const first = useRef<HTMLInputElement>(null);
  const password = useRef<HTMLInputElement>(null);
  useTitle("Sign in");
  useEffect(() => {
    (again === undefined ? first : password).current?.focus();
    task.setProblem(refusal);
  }, []);

  const submit = (event: SubmitEvent) => {
    event.preventDefault();
    const form = new FormData(event.currentTarget as HTMLFormElement);
    void task
      .run(async () => {
        await api.login(String(form.get("username")).trim(), String(form.get("password")));
        await done();
      })
      // A wrong password is typed anew.
      .then((good) => good || password.current?.select());
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
      {again !== undefined && (
        <p class="notice" role="status">
          Your login has ended. Sign in as {again} to go on where you were: what you typed is still there.
        </p>
      )}
      <form onSubmit={submit}>
        <label>
          Username or e-mail
          <input
            ref={first}
            name="username"
            autocomplete="username"
            autocapitalize="none"
            spellcheck={false}
            defaultValue={again ?? ""}
            required
          />
        </label>
        <label>
          Password
          <input
            ref={password}
            name="password"
            type="password"
            autocomplete="current-password"
            required
            onKeyDown={caps.look}
            onKeyUp={caps.look}
          />
        </label>
        {caps.hint}
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
  if (!(error instanceof api.ApiError) || error.status !== 401) return words(error);
  if (error.code === "USER_INACTIVE" || /disabled/.test(error.message)) {
    return "This account is disabled. Ask an administrator to enable it.";
  }
  return "The name or the password is wrong.";
}
