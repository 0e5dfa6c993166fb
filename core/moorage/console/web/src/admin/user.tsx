// One user: who they are, what they may, where they are signed in, their keys, and what plugins say of them.
import type { ComponentChildren, JSX } from "preact";
import { useLayoutEffect, useRef, useState } from "preact/hooks";
import * as api from "../api";
import type { PageProps } from "../app";
import { Dialog } from "../dialog";
import { Problem, Said, useTask, useTitle } from "../forms";
import { ACCOUNT, ADMIN, MAY, may } from "../places";
import { go } from "../router";
import { Trouble } from "../shell/trouble";
import { Ask } from "./ask";
import { Keys } from "./keys";
import { At, useFetched } from "./lists";
import { PasswordForOther } from "./newpassword";
import { type Details, userPath } from "./people";
import { RunsFor } from "./running";
import { type Logins, LOGINS, LoginsTable } from "./sessions";
import { Told } from "./told";
import "../home/home.css";
import "./people.css";

export default function UserPage({ id, state, refresh }: PageProps & { id: string }): JSX.Element {
  const { found: user, problem, again } = useFetched<Details>(userPath(id), refresh);
  useTitle(user === null ? "User" : `${user.username} – Users`);
  const [said, setSaid] = useState<string | null>(null);
  // Each change may have ended logins: they are asked for anew.
  const [changes, setChanges] = useState(0);
  const heading = useRef<HTMLHeadingElement>(null);
  const done = async (text: string) => {
    setSaid(text);
    setChanges((before) => before + 1);
    await again();
    heading.current?.focus();
  };
  return (
    <main class="person">
      <p class="up">
        <a href={ADMIN.users}>All users</a>
      </p>
      <h1 ref={heading} tabIndex={-1}>
        {user === null ? "User" : user.username}
        {user !== null && !user.active && <span class="mark bad">deactivated</span>}
      </h1>
      <Said>{said}</Said>
      {problem !== null && <Trouble text={problem} retry={again} />}
      {user === null ? (
        problem === null && <p class="loading">Loading…</p>
      ) : (
        <>
          <Facts user={user} audit={may(state, MAY.readAudit)} />
          <Changing user={user} own={user.id === state.user.id} endSessions={may(state, MAY.endSessions)} refresh={refresh} done={done} />
          {may(state, MAY.readSessions) && (
            <SignedIn key={changes} user={user} mayEnd={may(state, MAY.endSessions)} refresh={refresh} />
          )}
          {may(state, MAY.readSessions) && <RunsFor user={user.username} refresh={refresh} />}
          {may(state, MAY.readKeys) && <Keys user={user} mayRevoke={may(state, MAY.revokeKeys)} refresh={refresh} />}
          <Told plugins={user.plugins} />
        </>
      )}
    </main>
  );
}

function Facts({ user, audit }: { user: Details; audit: boolean }): JSX.Element {
  return (
    <dl class="facts">
      <dt>Name</dt>
      <dd>{user.name}</dd>
      <dt>E-mail</dt>
      <dd>{user.email ?? "none"}</dd>
      <dt>Role</dt>
      <dd>{user.role}</dd>
      <dt>Ways in</dt>
      <dd>{waysIn(user)}</dd>
      <dt>Made</dt>
      <dd>
        <At time={user.created_at} />
      </dd>
      <dt>Last login</dt>
      <dd>
        <At time={user.last_login_at} />
      </dd>
      <dt>Last seen</dt>
      <dd>
        <At time={user.last_seen_at} never="not of late" />
      </dd>
      <dt>Id</dt>
      <dd>
        <code>{user.id}</code>, number {user.number}
      </dd>
      {audit && (
        <>
          <dt>Audit</dt>
          <dd>
            <a href={`${ADMIN.audit}?actor=${encodeURIComponent(user.id)}`}>what they did</a>,{" "}
            <a href={`${ADMIN.audit}?target=${encodeURIComponent(`user:${user.number}`)}`}>what was done to them</a>
          </dd>
        </>
      )}
    </dl>
  );
}

function waysIn(user: Details): string {
  const ways = user.identities.map(({ provider, email }) => (email === null ? provider : `${provider} (${email})`));
  if (user.has_password) ways.unshift("password");
  return ways.length === 0 ? "none yet: set a password" : ways.join(", ");
}

interface ChangingProps {
  user: Details;
  own: boolean;
  endSessions: boolean;
  refresh: () => Promise<void>;
  done: (text: string) => Promise<void>;
}

type Open = "profile" | "role" | "password" | "deactivate" | "sign-out" | "delete" | null;

/** What can be done to somebody; or why nothing. */
function Changing({ user, own, endSessions, refresh, done }: ChangingProps): JSX.Element {
  const [open, setOpen] = useState<Open>(null);
  const task = useTask(refresh);
  const close = () => setOpen(null);
  const path = userPath(user.id);
  const finished = async (text: string) => {
    close();
    await done(text);
  };
  const signOut = async () => {
    const { ended } = await api.post<{ ended: number }>(`${path}/sign-out`);
    await finished(ended === 1 ? "One login was ended." : `${ended} logins were ended.`);
  };
  const button = (which: Exclude<Open, null>, text: string, kind = "quiet") => (
    <button type="button" class={kind} aria-haspopup="dialog" onClick={() => setOpen(which)}>
      {text}
    </button>
  );
  const shared = { refresh, onClose: close };
  return (
    <section aria-label="What can be done" class="part">
      {own && (
        <p class="hint">
          This is you: your name, your password and your keys are on <a href={ACCOUNT}>your account's page</a>.
        </p>
      )}
      {user.refusal !== null && !own && <p class="hint">You cannot change this account. {user.refusal}.</p>}
      <div class="choice">
        {user.refusal === null && (
          <>
            {button("profile", "Edit name and e-mail…")}
            {button("role", "Change the role…")}
            {button("password", "Set a password…")}
            {user.active ? (
              button("deactivate", "Deactivate…")
            ) : (
              <button
                type="button"
                class="quiet"
                disabled={task.busy}
                onClick={() => void task.run(async () => {
                  await api.patch(path, { active: true });
                  await finished("Activated. They can sign in again.");
                })}
              >
                Activate
              </button>
            )}
          </>
        )}
        {endSessions && !own && button("sign-out", "Sign out everywhere…")}
        {user.refusal === null && button("delete", "Delete…", "danger")}
      </div>
      <Problem text={task.problem} />
      {open === "profile" && <Profile user={user} {...shared} done={finished} />}
      {open === "role" && <Role user={user} {...shared} done={finished} />}
      {open === "password" && <Password user={user} {...shared} done={finished} />}
      {open === "deactivate" && (
        <Ask
          title={`Deactivate ${user.username}?`}
          yes="Deactivate"
          {...shared}
          act={async () => {
            await api.patch(path, { active: false });
            await finished("Deactivated. All that they had open was closed.");
          }}
        >
          <p>They are signed out everywhere and cannot sign in; their keys rest. What they have stays, and you can let them in again.</p>
        </Ask>
      )}
      {open === "sign-out" && (
        <Ask title={`Sign ${user.username} out everywhere?`} yes="Sign out" {...shared} act={signOut}>
          <p>All their logins end, and what those hold open closes. They can sign in again; keys go on.</p>
        </Ask>
      )}
      {open === "delete" && <Delete user={user} {...shared} />}
    </section>
  );
}

interface FormProps {
  user: Details;
  refresh: () => Promise<void>;
  onClose: () => void;
  done: (text: string) => Promise<void>;
}

/** A form in a dialog whose work may fail. */
function Form(props: FormProps & { title: string; yes: string; work: (form: FormData) => Promise<void>; children: ComponentChildren }): JSX.Element {
  const task = useTask(props.refresh);
  const submit = (event: SubmitEvent) => {
    event.preventDefault();
    const form = new FormData(event.currentTarget as HTMLFormElement);
    void task.run(() => props.work(form));
  };
  return (
    <Dialog title={props.title} onClose={props.onClose}>
      <form onSubmit={submit}>
        {props.children}
        <Problem text={task.problem} />
        <div class="choice">
          <button type="submit" disabled={task.busy}>
            {props.yes}
          </button>
          <button type="button" class="quiet" onClick={props.onClose}>
            Cancel
          </button>
        </div>
      </form>
    </Dialog>
  );
}

function Profile(props: FormProps): JSX.Element {
  const { user, done } = props;
  const work = async (form: FormData) => {
    const [name, email] = ["name", "email"].map((field) => String(form.get(field)).trim());
    const changes = { ...(name !== user.name && { name }), ...(email !== (user.email ?? "") && { email }) };
    const nothing = Object.keys(changes).length === 0;
    if (!nothing) await api.patch(userPath(user.id), changes);
    await done(nothing ? "Nothing was changed." : "Changed. They see it when they load a page the next time.");
  };
  return (
    <Form {...props} title={`Name and e-mail of ${user.username}`} yes="Save" work={work}>
      <label>
        Name that others see
        <input name="name" required maxLength={128} autocomplete="off" defaultValue={user.name} autofocus />
      </label>
      <label>
        E-mail
        <input name="email" type="email" maxLength={254} autocomplete="off" defaultValue={user.email ?? ""} placeholder="none" />
      </label>
      <p class="hint">They can sign in with the address instead of their username, so give one that is theirs. The username stays.</p>
    </Form>
  );
}

function Role(props: FormProps): JSX.Element {
  const { user, done } = props;
  const work = async (form: FormData) => {
    const role = String(form.get("role"));
    if (role !== user.role) await api.patch(userPath(user.id), { role });
    await done(role === user.role ? "Nothing was changed." : `Changed: ${user.username} is ${role} now.`);
  };
  const offered = user.roles.filter(({ name, yours }) => yours || name === user.role);
  return (
    <Form {...props} title={`Role of ${user.username}`} yes="Change the role" work={work}>
      <label>
        Role
        <select name="role" autofocus>
          {offered.map(({ name }) => (
            <option key={name} value={name} selected={name === user.role}>
              {name}
            </option>
          ))}
        </select>
      </label>
      <p class="hint">
        It counts at once, also for what they have open. What each may do is told at <a href={ADMIN.roles}>Roles</a>.
      </p>
    </Form>
  );
}

function Password(props: FormProps): JSX.Element {
  const { user, done } = props;
  const work = async (form: FormData) => {
    await api.patch(userPath(user.id), { password: String(form.get("password")) });
    await done("The password was set. They are signed out everywhere.");
  };
  return (
    <Form {...props} title={`New password of ${user.username}`} yes="Set the password" work={work}>
      <PasswordForOther
        label="Password"
        hint="It is not shown again: hand it over by a safe way. All their logins end; they can choose another one on their account page."
        required
      />
    </Form>
  );
}

/** The name is typed once more: this cannot be undone. */
function Delete({ user, refresh, onClose }: Omit<FormProps, "done">): JSX.Element {
  const [typed, setTyped] = useState("");
  const task = useTask(refresh);
  const field = useRef<HTMLInputElement>(null);
  // At once: the next key is for the field already.
  useLayoutEffect(() => field.current?.focus(), []);
  const submit = (event: SubmitEvent) => {
    event.preventDefault();
    if (typed !== user.username) return;
    void task.run(async () => {
      await api.remove(userPath(user.id));
      go(ADMIN.users);
    });
  };
  return (
    <Dialog title={`Delete ${user.username} for good?`} onClose={onClose}>
      <p>
        Their logins, keys and invites end, and plugins delete what they keep for them: terminals, sessions, workspaces, conversations,
        memories. This cannot be undone.
      </p>
      <form onSubmit={submit}>
        <label>
          <span>
            To confirm, type the username <strong>{user.username}</strong>
          </span>
          <input
            ref={field}
            value={typed}
            autocomplete="off"
            autocapitalize="none"
            spellcheck={false}
            onInput={(event) => setTyped(event.currentTarget.value)}
          />
        </label>
        <Problem text={task.problem} />
        <div class="choice">
          <button type="submit" class="danger" disabled={task.busy || typed !== user.username}>
            Delete {user.username}
          </button>
          <button type="button" class="quiet" onClick={onClose}>
            Cancel
          </button>
        </div>
      </form>
    </Dialog>
  );
}

const ASK_EVERY = 15_000;

function SignedIn({ user, mayEnd, refresh }: { user: Details; mayEnd: boolean; refresh: () => Promise<void> }): JSX.Element {
  const path = `${LOGINS}?user=${encodeURIComponent(user.username)}&limit=100`;
  const { found, problem, again } = useFetched<Logins>(path, refresh, ASK_EVERY);
  const heading = useRef<HTMLHeadingElement>(null);
  const ended = async () => {
    await again();
    heading.current?.focus();
  };
  return (
    <section class="part" aria-labelledby="signed-in">
      <h2 id="signed-in" ref={heading} tabIndex={-1}>
        Where they are signed in
      </h2>
      {problem !== null && <Trouble text={problem} retry={again} />}
      {found === null ? (
        problem === null && <p class="loading">Loading…</p>
      ) : found.sessions.length === 0 ? (
        <p class="empty">Nowhere.</p>
      ) : (
        <LoginsTable logins={found.sessions} naming={false} mayEnd={mayEnd} refresh={refresh} ended={ended} />
      )}
    </section>
  );
}
