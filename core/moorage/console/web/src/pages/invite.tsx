// An invite: what it is worth, and the ways to take it, for newcomers and for those who are signed in.
import type { JSX } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import * as api from "../api";
import { DIFFERENT, newPassword, NewPassword, Problem, ProviderLinks, useTask, useTitle, words } from "../forms";
import { go } from "../router";
import { Trouble } from "../shell/trouble";

interface InviteProps {
  token: string;
  state: api.State;
  /** The form for those who have an account. */
  login: JSX.Element;
  refresh: () => Promise<void>;
}

type Validity = { valid: true; role: string } | { valid: false; reason: string };

const REASONS: Record<string, string> = {
  expired: "This invite has expired.",
  revoked: "This invite was revoked.",
  exhausted: "This invite was used as often as it may be.",
};
const ROLES: Record<string, string> = {
  viewer: "a viewer: you see what is shared here",
  operator: "an operator: you see and use what is shared here",
  admin: "an administrator: you also manage the people here",
};

export default function InvitePage({ token, state, login, refresh }: InviteProps): JSX.Element {
  const [invite, setInvite] = useState<Validity | null>(null);
  const [problem, setProblem] = useState<string | null>(null);
  const [known, setKnown] = useState(false);
  useTitle("Invite");
  const look = async () => {
    setProblem(null);
    try {
      setInvite(await api.get<Validity>(`/api/invites/${encodeURIComponent(token)}/validate`));
    } catch (error) {
      setProblem(words(error));
    }
  };
  useEffect(() => void look(), [token]);

  // The token opens the door again: it must not stay in the address bar.
  const done = async () => {
    go("/", true);
    await refresh();
  };

  if (known && state.user === null) return login;
  if (invite === null) {
    return <main class="narrow">{problem === null ? <p class="loading">Loading…</p> : <Trouble text={problem} retry={look} />}</main>;
  }
  if (!invite.valid) {
    return (
      <main class="narrow">
        <h1>This invite does not hold</h1>
        <p role="alert">
          {REASONS[invite.reason] ?? "This invite is unknown; look whether the whole link was copied."} If in doubt,
          ask whoever invited you for a new one.
        </p>
        <p>
          <a href="/">{state.user === null ? "Sign in" : "Go to the start"}</a>
        </p>
      </main>
    );
  }
  const worth = (
    <p class="hint">
      The invite makes you <strong>{ROLES[invite.role] ?? invite.role}</strong>.
    </p>
  );
  if (state.user !== null) return <Accept token={token} user={state.user} worth={worth} done={done} refresh={refresh} />;
  return (
    <Register token={token} providers={state.providers} worth={worth} done={done} haveOne={() => setKnown(true)} />
  );
}

interface AcceptProps {
  token: string;
  user: api.User;
  worth: JSX.Element;
  done: () => Promise<void>;
  refresh: () => Promise<void>;
}

function Accept({ token, user, worth, done, refresh }: AcceptProps): JSX.Element {
  const task = useTask(refresh);
  const accept = async () => {
    await api.acceptInvite(token);
    await done();
  };
  return (
    <main class="narrow">
      <h1>You are invited</h1>
      {worth}
      <p class="hint">A role that you have already is never made smaller. For somebody else, sign out first.</p>
      <form
        onSubmit={(event) => {
          event.preventDefault();
          void task.run(accept);
        }}
      >
        <Problem text={task.problem} />
        <button type="submit" disabled={task.busy}>
          {task.busy ? "Accepting…" : `Accept as ${user.name || user.username}`}
        </button>
        <a class="button quiet" href="/">
          Not now
        </a>
      </form>
    </main>
  );
}

interface RegisterProps {
  token: string;
  providers: api.Provider[];
  worth: JSX.Element;
  done: () => Promise<void>;
  haveOne: () => void;
}

function Register({ token, providers, worth, done, haveOne }: RegisterProps): JSX.Element {
  const task = useTask();
  const first = useRef<HTMLInputElement>(null);
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
      await api.register(token, String(form.get("username")), String(form.get("email")).trim(), password);
      await done();
    });
  };

  return (
    <main class="narrow">
      <h1>You are invited</h1>
      {worth}
      <form onSubmit={submit}>
        <label>
          Username
          <input ref={first} name="username" autocomplete="username" autocapitalize="none" spellcheck={false} required />
        </label>
        <label>
          E-mail, if you like
          <input name="email" type="email" autocomplete="email" />
        </label>
        <NewPassword />
        <Problem text={task.problem} />
        <button type="submit" disabled={task.busy}>
          {task.busy ? "Making it…" : "Make the account"}
        </button>
      </form>
      <ProviderLinks providers={providers} query={{ invite: token }} />
      <p>
        <button type="button" class="link" onClick={haveOne}>
          I have an account here
        </button>
      </p>
    </main>
  );
}
